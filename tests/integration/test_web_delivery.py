"""Delivery to a DICOMweb service: the same ladder, retries and order as to any other peer."""

from datetime import UTC, datetime, timedelta

import pytest
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
)

from node.delivery import HELD
from node.results.read_report import Conclusion, interpret_report
from storage.records import DeliveryState
from tests.integration.test_analysis import Site as AnalysingSite
from tests.integration.test_analysis import bleeding
from tests.integration.test_delivery import SiteMaker
from tests.integration.test_delivery import site as site  # noqa: PLC0414 - the fixture
from tests.integration.test_ladder import Sender, kinds, referenced
from tests.integration.test_ladder import site as analysing_site  # noqa: F401 - the fixture
from tests.support.pacs import free_port
from tests.support.web_archive import Reply, Request, failed, running_web_archive, stored

SENT, DEAD, PENDING = DeliveryState.SENT, DeliveryState.DEAD, DeliveryState.PENDING


def test_the_objects_arrive_as_they_were_written_the_report_last(site: SiteMaker) -> None:
    with running_web_archive() as archive:
        there = site(archive.url)
        there.send()
        there.send()
    assert kinds(archive.received) == ["SEG", "SR"]
    files = [there.files.path(each.path) for each in there.deliveries()]
    assert [request.content for request in archive.requests] == [f.read_bytes() for f in files]
    assert there.states() == [SENT, SENT]
    assert there.queued() == []


def test_a_service_that_is_down_gets_its_results_later(site: SiteMaker) -> None:
    port = free_port()
    there = site(f"http://127.0.0.1:{port}/dicom-web")
    there.send()
    assert there.states() == [PENDING, PENDING]
    assert there.queued() == ["2"]
    with running_web_archive(port=port) as archive:
        there.send(attempt=2)
    assert kinds(archive.received) == ["SEG", "SR"]


def test_what_arrived_is_not_sent_again(site: SiteMaker) -> None:
    answers = iter([200, 503, 200])

    def answer(request: Request) -> Reply:
        status = next(answers)
        return Reply(status, stored(request) if status == 200 else None)

    with running_web_archive(answer) as archive:
        there = site(archive.url)
        there.send()
        assert there.states() == [SENT, PENDING]
        there.send(attempt=2)
    assert kinds(archive.received) == ["SEG", "SR"]
    assert len(archive.requests) == 3


def test_the_pause_that_is_asked_for_is_kept(site: SiteMaker) -> None:
    with running_web_archive(lambda _: Reply(429, headers={"Retry-After": "1800"})) as archive:
        there = site(archive.url)
        there.send()
    (first, _) = there.deliveries()
    assert first.next_attempt_at is not None
    assert first.next_attempt_at > datetime.now(UTC) + timedelta(minutes=20)
    assert "HTTP 429 Too Many Requests" in (first.last_error or "")


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_the_setup_is_to_blame_for_is_held_and_told(site: SiteMaker, status: int) -> None:
    with running_web_archive(lambda _: Reply(status)) as archive:
        there = site(archive.url, give_up_hours=1e-9)
        there.send()
    assert there.states() == [PENDING, PENDING]
    for each in there.deliveries():
        assert (each.last_error or "").startswith(f"{HELD}: {archive.url} answered HTTP {status}")
        assert each.next_attempt_at is not None


def test_after_a_day_a_service_that_is_down_is_given_up(site: SiteMaker) -> None:
    there = site(f"http://127.0.0.1:{free_port()}", give_up_hours=1e-9)
    there.send()
    assert there.states() == [DEAD, DEAD]


def test_each_kind_and_rung_that_is_refused_has_its_next_one(
    analysing_site: AnalysingSite,  # noqa: F811
) -> None:
    """As `tests.integration.test_ladder` has it of C-STORE, in one study."""

    def answer(request: Request) -> Reply:
        ds = request.dataset
        if ds.file_meta.TransferSyntaxUID == JPEG2000Lossless:
            return Reply(409, failed(request, 0xC122))
        if ds.SOPClassUID == Comprehensive3DSRStorage:
            return Reply(409, failed(request, 0x0122))
        return Reply(200, stored(request))

    with running_web_archive(answer) as archive:
        sender = Sender(analysing_site, archive.url, compression="JPEG2000")
        job_id = sender.deliver(bleeding())
    mask, _, report = archive.received
    assert kinds(archive.received) == ["SEG", "OT page", "SR"]
    assert mask.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert report.SOPClassUID == ComprehensiveSRStorage
    assert referenced(report) == {mask.SOPInstanceUID}
    assert interpret_report(report).conclusion is Conclusion.POSITIVE
    assert sender.refused() == {JPEG2000Lossless, Comprehensive3DSRStorage}
    assert not {DEAD, PENDING} & {each.state for each in sender.deliveries(job_id)}


def test_a_service_that_refuses_each_object_leaves_it_to_the_administrator(
    analysing_site: AnalysingSite,  # noqa: F811
) -> None:
    with running_web_archive(lambda request: Reply(409, failed(request, 0xC000))) as archive:
        sender = Sender(analysing_site, archive.url)
        deliveries = sender.deliveries(sender.deliver(bleeding()))
    assert archive.received == []
    assert not {SENT, PENDING} & {each.state for each in deliveries}
    (dead,) = [each for each in deliveries if each.state is DEAD]
    assert dead.kind == "SR"
    assert "0xC000" in (dead.last_error or "")
    assert sender.refused() == frozenset()
