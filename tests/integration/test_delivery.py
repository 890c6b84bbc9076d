"""Delivery to a real SCP: order, statuses, retries; nothing lost, nothing sent twice."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from config.settings import DeliverySettings, Settings
from ml.checkpoint import Thresholds
from ml.volume import Subtype
from node.caller import caller_of
from node.delivery import HELD, Courier, pause_after
from node.engine import Queues
from node.peers import Peer
from node.results.forms import Forms
from node.results.outcomes import StudyResult
from node.workplace import Workplace
from node.writing import Analysis, write
from storage.database import Database
from storage.files import FileStore
from storage.records import DeliveryRecord, DeliveryState, NewResult
from tests.support.databases import url_in
from tests.support.destinations import settings_for
from tests.support.held import hold
from tests.support.pacs import COMPREHENSIVE_3D_SR, free_port, running_pacs
from tests.support.received import complete_study
from tests.support.result_inputs import (
    MODEL,
    NODE,
    make_context,
    make_findings,
    make_grid,
    make_mask,
    make_series,
)

NOW = datetime.now(UTC)
CALLER = caller_of(Settings())


class Site:
    """A node with one finished job whose results wait for the destination ``pacs``."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.database = Database(url_in(folder))
        self.files = FileStore(folder / "files", reserve_bytes=0)
        self.settings = settings
        self.queues = Queues(self.database.engine)
        self.place = Workplace(
            "test",
            self.database,
            self.files,
            self.queues,
            self.settings.receivers,
            NODE,
            MODEL,
            Thresholds(0.3, 0.6, {subtype.name: 0.5 for subtype in Subtype}),
        )
        self.courier = Courier(self.place, self.settings, CALLER)
        self.job_id = self._finished_job()

    def _finished_job(self) -> int:
        mask = make_mask(make_grid(), (Subtype.SDH,))
        findings = make_findings(mask, (Subtype.SDH,))
        result = StudyResult.positive(findings, num_images=12, case_score_percent=97.0)
        series = make_series(make_grid())
        analysis = Analysis(series, mask, result)
        with self.database.begin() as transaction:
            study_id = hold(transaction, self.files, series.headers, now=NOW)
            complete = complete_study(transaction, study_id)
            job = transaction.jobs.create(study_id, complete.generation, now=NOW)
            kept = [
                (each, self.files.write_result(each.content, job_id=job.id))
                for each in write(make_context(), analysis, forms=Forms(summary_page=False))
            ]
            results = [
                NewResult(
                    kind=each.kind,
                    sop_class_uid=each.sop_class_uid,
                    sop_instance_uid=each.sop_instance_uid,
                    path=stored.path,
                    sha256=stored.sha256,
                    position=position,
                )
                for position, (each, stored) in enumerate(kept)
            ]
            transaction.results.record(job.id, results, ["pacs"], now=NOW)
        return job.id

    def deliveries(self) -> tuple[DeliveryRecord, ...]:
        with self.database.read() as transaction:
            return transaction.results.deliveries(job_id=self.job_id)

    def states(self) -> list[DeliveryState]:
        return [delivery.state for delivery in self.deliveries()]

    def send(self, attempt: int = 1) -> None:
        self.courier.send(self.job_id, "pacs", attempt)

    def queued(self) -> list[str]:
        """Attempts that wait in the queue."""
        with self.database.engine.connect() as connection:
            rows = connection.exec_driver_sql("SELECT workflow_uuid FROM workflow_status")
            return [str(row[0]).rsplit(":", 1)[1] for row in rows]

    def close(self) -> None:
        self.queues.close()
        self.database.close()


@pytest.fixture
def site(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Site]:
    def make(receiver: Peer | str, **delivery: float) -> Site:
        how = DeliverySettings.model_validate(delivery)
        made = Site(tmp_path, settings_for(receiver, delivery=how))
        request.addfinalizer(made.close)
        return made

    return make


SiteMaker = Callable[..., Site]


def test_the_segmentation_goes_first_and_the_report_last(site: SiteMaker) -> None:
    with running_pacs() as pacs:
        there = site(pacs.peer)
        there.send()
        assert [ds.Modality for ds in pacs.received] == ["SEG", "SR"]
        assert there.states() == [DeliveryState.SENT, DeliveryState.SENT]
        assert there.queued() == []


def test_what_was_sent_is_not_sent_again(site: SiteMaker) -> None:
    with running_pacs() as pacs:
        there = site(pacs.peer)
        there.send()
        there.send()
        assert len(pacs.received) == 2


def test_a_peer_that_is_down_gets_its_results_later(site: SiteMaker) -> None:
    port = free_port()
    there = site(Peer("PACS", "127.0.0.1", port))
    there.send()
    assert there.states() == [DeliveryState.PENDING, DeliveryState.PENDING]
    assert there.queued() == ["2"]
    assert all("no association" in (d.last_error or "") for d in there.deliveries())
    with running_pacs(port=port) as pacs:
        there.send(attempt=2)
        assert [ds.Modality for ds in pacs.received] == ["SEG", "SR"]
    assert there.states() == [DeliveryState.SENT, DeliveryState.SENT]


def test_a_peer_out_of_resources_is_tried_again_from_where_it_stopped(site: SiteMaker) -> None:
    answers = iter([0x0000, 0xA700, 0x0000])
    with running_pacs(answer=lambda _: next(answers)) as pacs:
        there = site(pacs.peer)
        there.send()
        assert there.states() == [DeliveryState.SENT, DeliveryState.PENDING]
        there.send(attempt=2)
        assert [ds.Modality for ds in pacs.received] == ["SEG", "SR"]


@pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB007, 0x0111])
def test_a_warning_and_a_known_duplicate_count_as_sent(site: SiteMaker, status: int) -> None:
    with running_pacs(answer=lambda _: status) as pacs:
        there = site(pacs.peer)
        there.send()
    assert there.states() == [DeliveryState.SENT, DeliveryState.SENT]


def _refuse_segmentations(ds: Dataset) -> int:
    return 0xA900 if ds.Modality == "SEG" else 0x0000


def test_without_another_form_an_object_refused_is_dead_and_the_rest_arrives(
    site: SiteMaker,
) -> None:
    with running_pacs(answer=_refuse_segmentations) as pacs:
        there = site(pacs.peer)
        there.send()
        assert pacs.received == []
        assert there.queued() == ["2"]
        there.send(attempt=2)
        assert [ds.Modality for ds in pacs.received] == ["SR"]
    assert there.states() == [DeliveryState.DEAD, DeliveryState.SENT]
    assert "0xA900" in (there.deliveries()[0].last_error or "")


def test_without_another_form_a_class_not_accepted_is_dead_and_the_rest_arrives(
    site: SiteMaker,
) -> None:
    with running_pacs(classes=(COMPREHENSIVE_3D_SR,)) as pacs:
        there = site(pacs.peer)
        there.send()
        assert pacs.received == []
        there.send(attempt=2)
        assert [ds.Modality for ds in pacs.received] == ["SR"]
    assert there.states() == [DeliveryState.DEAD, DeliveryState.SENT]


def test_a_peer_that_does_not_know_us_is_asked_again(site: SiteMaker) -> None:
    with running_pacs(calling_ae_titles=("SOMEBODY",)) as pacs:
        there = site(pacs.peer)
        there.send()
    assert there.states() == [DeliveryState.PENDING, DeliveryState.PENDING]
    assert there.queued() == ["2"]
    assert all((each.last_error or "").startswith(HELD) for each in there.deliveries())


def test_what_the_setup_is_to_blame_for_is_not_given_up_and_arrives_when_it_is_mended(
    site: SiteMaker,
) -> None:
    answers = iter([0x0124])
    with running_pacs(answer=lambda _: next(answers, 0)) as pacs:
        there = site(pacs.peer, give_up_hours=1e-9)
        there.send()
        assert there.states() == [DeliveryState.PENDING, DeliveryState.PENDING]
        assert there.deliveries()[0].last_error == f"{HELD}: {pacs.peer} answered 0x0124"
        there.send(attempt=2)
        assert there.states() == [DeliveryState.SENT, DeliveryState.SENT]


def test_after_a_day_a_delivery_is_given_up_and_shown(site: SiteMaker) -> None:
    there = site(Peer("PACS", "127.0.0.1", free_port()), give_up_hours=1e-9)
    there.send()
    assert there.states() == [DeliveryState.DEAD, DeliveryState.DEAD]
    assert there.queued() == []


def test_a_lost_result_file_is_dead_and_not_tried_for_ever(site: SiteMaker) -> None:
    with running_pacs() as pacs:
        there = site(pacs.peer)
        for delivery in there.deliveries():
            there.files.path(delivery.path).write_bytes(b"overwritten")
        there.send()
    assert there.states() == [DeliveryState.DEAD, DeliveryState.DEAD]


def test_a_destination_that_left_the_settings_is_dead(site: SiteMaker) -> None:
    with running_pacs() as pacs:
        there = site(pacs.peer)
        gone = there.settings.model_copy(update={"destinations": ()})
        Courier(there.place, gone, CALLER).send(there.job_id, "pacs", 1)
        assert pacs.received == []
    assert there.states() == [DeliveryState.DEAD, DeliveryState.DEAD]


def test_pauses_double_up_to_their_limit() -> None:
    settings = DeliverySettings(first_retry_seconds=30, longest_retry_seconds=1800, jitter=0)
    chance = random.Random(1)
    pauses = [pause_after(n, settings, chance=chance) for n in (1, 2, 3, 7, 99)]
    assert pauses == [timedelta(seconds=s) for s in (30, 60, 120, 1800, 1800)]
