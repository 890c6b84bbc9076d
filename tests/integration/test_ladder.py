"""What a peer gets that refuses the richest forms: the next ones, with references that hold."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    BasicTextSRStorage,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from config.errors import Reason
from config.settings import Settings
from node.caller import caller_of
from node.custody import Stores
from node.delivery import Courier
from node.engine import Queues
from node.peers import Peer
from node.results.read_report import Conclusion, interpret_report
from node.steps import Deliverer
from node.workplace import Workplace
from storage.database import Database
from storage.files import FileStore
from storage.records import DeliveryRecord, DeliveryState
from tests.integration.test_analysis import Site, bleeding, quiet
from tests.support.databases import url_in
from tests.support.destinations import settings_for
from tests.support.pacs import running_pacs
from tests.support.result_inputs import MODEL, NODE
from tests.unit.ml.test_inference import CARD, BrightIsBlood, segmenter

MOST_ATTEMPTS = 8
CALLER = caller_of(Settings())


class Sender:
    """A node whose results go to one peer, without its processes."""

    def __init__(self, site: Site, peer: Peer | str, **forms: object) -> None:
        """Send to a peer, or to a DICOMweb service at a URL."""
        settings = settings_for(peer, **forms)
        self.site = replace(site, place=replace(site.place, destinations=settings.receivers))
        self.courier = Courier(self.site.place, settings, CALLER)

    def deliver(self, images: list[Dataset]) -> int:
        """Analyse a study, and make attempts until nothing is left to be sent; the job."""
        job = self.site.analyse(images)
        self.send(job.id)
        return job.id

    def send(self, job_id: int) -> None:
        for attempt in range(1, MOST_ATTEMPTS + 1):
            with self.site.stores.database.read() as transaction:
                if not transaction.results.pending(job_id, "pacs"):
                    return
            self.courier.send(job_id, "pacs", attempt)
        raise AssertionError("something is still to be sent")

    def deliveries(self, job_id: int) -> tuple[DeliveryRecord, ...]:
        with self.site.stores.database.read() as transaction:
            return transaction.results.deliveries(job_id=job_id, limit=1000)

    def refused(self) -> frozenset[str]:
        with self.site.stores.database.read() as transaction:
            return transaction.refusals.of("pacs")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    database = Database(url_in(tmp_path))
    files = FileStore(tmp_path / "files", reserve_bytes=0)
    queues = Queues(database.engine)
    yield Site(
        Stores(database, files, queues, max_instance_bytes=1 << 26),
        Workplace("test", database, files, queues, (), NODE, MODEL, CARD.thresholds),
        segmenter(BrightIsBlood()),
    )
    queues.close()
    database.close()


def kinds(received: list[Dataset]) -> list[str]:
    return [f"{ds.Modality}{'' if ds.Modality != 'OT' else ' ' + page_or_overlay(ds)}"
            for ds in received]  # fmt: skip


def page_or_overlay(ds: Dataset) -> str:
    return "overlay" if "FrameOfReferenceUID" in ds else "page"


def referenced(report: Dataset) -> set[str]:
    """SOP Instance UIDs of our own objects that a report names as evidence."""
    return {
        str(item.ReferencedSOPInstanceUID)
        for study in report.get("CurrentRequestedProcedureEvidenceSequence", ())
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
        if item.ReferencedSOPClassUID not in ("1.2.840.10008.5.1.4.1.1.2",)
    }


def test_a_peer_that_takes_everything_gets_the_richest_forms(site: Site) -> None:
    with running_pacs() as pacs:
        sender = Sender(site, pacs.peer)
        job_id = sender.deliver(bleeding())
        assert kinds(pacs.received) == ["SEG", "OT page", "SR"]
        assert referenced(pacs.received[-1]) == {pacs.received[0].SOPInstanceUID}
    assert {each.state for each in sender.deliveries(job_id)} == {DeliveryState.SENT}
    assert sender.refused() == frozenset()


def test_without_segmentations_the_outlines_come_as_images_and_the_report_names_none(
    site: Site,
) -> None:
    classes = (SecondaryCaptureImageStorage, Comprehensive3DSRStorage)
    with running_pacs(classes=classes) as pacs:
        sender = Sender(site, pacs.peer)
        job_id = sender.deliver(bleeding())
        assert set(kinds(pacs.received)) == {"OT page", "OT overlay", "SR"}
        assert kinds(pacs.received)[-1] == "SR"
        report = pacs.received[-1]
        assert referenced(report) == set()
        assert interpret_report(report).conclusion is Conclusion.POSITIVE
    states = {(d.kind, d.state) for d in sender.deliveries(job_id)}
    assert ("SEG", DeliveryState.REPLACED) in states
    assert ("SR", DeliveryState.REPLACED) in states
    assert not any(state in (DeliveryState.DEAD, DeliveryState.PENDING) for _, state in states)
    assert sender.refused() == {SegmentationStorage}


REPORTS = (Comprehensive3DSRStorage, ComprehensiveSRStorage, EnhancedSRStorage, BasicTextSRStorage)


@pytest.mark.parametrize("taken", [1, 2, 3])
def test_the_report_falls_to_the_richest_class_that_is_taken(site: Site, taken: int) -> None:
    classes = (SegmentationStorage, SecondaryCaptureImageStorage, REPORTS[taken])
    with running_pacs(classes=classes) as pacs:
        sender = Sender(site, pacs.peer)
        sender.deliver(bleeding())
        assert [str(ds.SOPClassUID) for ds in pacs.received] == [
            SegmentationStorage,
            SecondaryCaptureImageStorage,
            REPORTS[taken],
        ]
        report = pacs.received[-1]
        if REPORTS[taken] != BasicTextSRStorage:
            assert interpret_report(report).conclusion is Conclusion.POSITIVE
            assert referenced(report) == {pacs.received[0].SOPInstanceUID}
    assert sender.refused() == set(REPORTS[:taken])


def test_a_mask_whose_compression_is_not_taken_is_sent_plain(site: Site) -> None:
    with running_pacs() as pacs:
        sender = Sender(site, pacs.peer, compression="JPEG2000")
        sender.deliver(bleeding())
        assert kinds(pacs.received) == ["SEG", "OT page", "SR"]
        assert str(pacs.received[0].file_meta.TransferSyntaxUID) == ExplicitVRLittleEndian
        assert referenced(pacs.received[-1]) == {pacs.received[0].SOPInstanceUID}
    assert sender.refused() == {JPEG2000Lossless}


def test_a_peer_of_images_alone_gets_page_and_overlay(site: Site) -> None:
    with running_pacs(classes=(SecondaryCaptureImageStorage,)) as pacs:
        sender = Sender(site, pacs.peer)
        job_id = sender.deliver(bleeding())
        assert set(kinds(pacs.received)) == {"OT page", "OT overlay"}
    assert not [d for d in sender.deliveries(job_id) if d.state is DeliveryState.DEAD]


def test_what_was_refused_once_is_not_offered_again(site: Site) -> None:
    classes = (SecondaryCaptureImageStorage, Comprehensive3DSRStorage)
    with running_pacs(classes=classes) as pacs:
        sender = Sender(site, pacs.peer)
        sender.deliver(bleeding("first"))
        first = len(pacs.received)
        job_id = sender.deliver(bleeding("second"))
        assert len(pacs.received) == 2 * first
    assert {d.state for d in sender.deliveries(job_id)} == {DeliveryState.SENT}
    assert "SEG" not in {d.kind for d in sender.deliveries(job_id)}


def test_what_is_forgotten_is_offered_again(site: Site) -> None:
    classes = (SecondaryCaptureImageStorage, Comprehensive3DSRStorage)
    with running_pacs(classes=classes) as pacs:
        sender = Sender(site, pacs.peer)
        sender.deliver(bleeding("first"))
    with site.stores.database.begin() as transaction:
        assert transaction.refusals.forget("pacs") == 1
    with running_pacs(port=pacs.peer.port) as upgraded:
        sender.deliver(bleeding("second"))
        assert kinds(upgraded.received) == ["SEG", "OT page", "SR"]


def _refuse_first_segmentation() -> Callable[[Dataset], int]:
    answers = iter([0xA900])
    return lambda ds: next(answers, 0) if ds.Modality == "SEG" else 0


def test_an_object_refused_by_its_status_costs_this_study_alone(site: Site) -> None:
    with running_pacs(answer=_refuse_first_segmentation()) as pacs:
        sender = Sender(site, pacs.peer)
        sender.deliver(bleeding("first"))
        assert kinds(pacs.received)[-1] == "SR"
        assert referenced(pacs.received[-1]) == set()
        assert "SEG" not in kinds(pacs.received)
        pacs.received.clear()
        sender.deliver(bleeding("second"))
        assert kinds(pacs.received) == ["SEG", "OT page", "SR"]
    assert sender.refused() == frozenset()


def test_if_no_other_form_can_be_written_the_rest_is_sent_all_the_same(site: Site) -> None:
    classes = (SecondaryCaptureImageStorage, Comprehensive3DSRStorage)
    with running_pacs(classes=classes) as pacs:
        sender = Sender(site, pacs.peer)
        job = sender.site.analyse(bleeding())
        for path in sender.site.stores.files.root.rglob("*.npz"):
            path.unlink()
        sender.send(job.id)
        assert kinds(pacs.received) == ["OT page", "SR"]
    states = {delivery.kind: delivery.state for delivery in sender.deliveries(job.id)}
    assert states["SEG"] is DeliveryState.DEAD


def test_a_negative_and_a_failed_report_fall_too(site: Site) -> None:
    classes = (SecondaryCaptureImageStorage, ComprehensiveSRStorage)
    with running_pacs(classes=classes) as pacs:
        sender = Sender(site, pacs.peer)
        sender.deliver(quiet())
        sender.deliver(bleeding("short")[:1])
        assert kinds(pacs.received) == ["OT page", "SR", "OT page", "SR"]
        reports = [ds for ds in pacs.received if ds.Modality == "SR"]
        assert {str(ds.SOPClassUID) for ds in reports} == {str(ComprehensiveSRStorage)}
        assert [interpret_report(ds).conclusion for ds in reports] == [
            Conclusion.NEGATIVE,
            Conclusion.NO_RESULT,
        ]


def test_the_report_of_a_cancelled_analysis_falls_too(site: Site) -> None:
    classes = (SecondaryCaptureImageStorage, ComprehensiveSRStorage)
    with running_pacs(classes=classes) as pacs:
        sender = Sender(site, pacs.peer)
        sender.site.receive(bleeding())
        job_id = sender.site.complete()
        with site.stores.database.begin() as transaction:
            transaction.jobs.cancel(job_id, now=datetime.now(UTC))
        closer = Deliverer(sender.site.place, Settings(), CALLER)
        closer.record(job_id, closer.encode_failure(job_id, Reason.UNSPECIFIED))
        sender.send(job_id)
        assert kinds(pacs.received) == ["OT page", "SR"]
        assert interpret_report(pacs.received[-1]).reason is Reason.UNSPECIFIED


def test_a_peer_that_takes_nothing_leaves_it_to_the_administrator(site: Site) -> None:
    with running_pacs(classes=("1.2.840.10008.5.1.4.1.1.2",)) as pacs:
        sender = Sender(site, pacs.peer)
        job_id = sender.deliver(bleeding())
        assert pacs.received == []
    states = [delivery.state for delivery in sender.deliveries(job_id)]
    assert DeliveryState.PENDING not in states
    assert DeliveryState.DEAD in states
    last = [d for d in sender.deliveries(job_id) if d.state is DeliveryState.DEAD]
    assert all("does not take SOP class" in (d.last_error or "") for d in last)


def test_a_revision_names_the_report_that_this_peer_got(site: Site) -> None:
    classes = (SegmentationStorage, SecondaryCaptureImageStorage, EnhancedSRStorage)
    images = bleeding()
    with running_pacs(classes=classes) as pacs:
        sender = Sender(site, pacs.peer)
        sender.deliver(images[:-1])
        sender.deliver(images[-1:])
        first, second = (ds for ds in pacs.received if ds.Modality == "SR")
    named = second.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert named.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert "PredecessorDocumentsSequence" not in first


def test_destinations_of_different_forms_get_their_own_and_share_what_is_alike(site: Site) -> None:
    with running_pacs() as rich, running_pacs(ae_title="PLAIN") as plain:
        sender = Sender(site, rich.peer)
        (pacs,) = sender.site.place.destinations
        other = pacs.model_copy(
            update={
                "name": "plain",
                "ae_title": "PLAIN",
                "port": plain.peer.port,
                "segmentation": "NONE",
                "summary_page": False,
            }
        )
        both = (pacs, other)
        site = replace(sender.site, place=replace(sender.site.place, destinations=both))
        job = site.analyse(bleeding())
        courier = Courier(site.place, Settings(destinations=both), CALLER)
        for name in ("pacs", "plain"):
            courier.send(job.id, name, 1)
        assert kinds(rich.received) == ["SEG", "OT page", "SR"]
        assert kinds(plain.received) == ["SR"]
        assert rich.received[-1].SOPInstanceUID != plain.received[0].SOPInstanceUID
