"""From received files to recorded results, step by step, with a network whose answer is known."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from config.errors import PatientConflictError, Reason
from config.settings import CompletionSettings, DestinationSettings, Settings
from ml.align import align
from ml.familiarity import describe, fit
from ml.inference import Precision, Segmenter
from ml.preprocess import resample
from node.caller import caller_of
from node.completion import sweep
from node.custody import Stores, keep
from node.engine import Json, Queues
from node.results.outcomes import Outcome
from node.results.read_report import Conclusion, ReadBack, read_report
from node.stages import Stage, read_stages
from node.steps import Analyst, Deliverer
from node.workplace import Workplace
from storage.database import Database
from storage.files import FileStore
from storage.records import JobRecord, JobState, ResultRecord
from tests.support.ct_series import head_series, series_of, stack, uid
from tests.support.databases import url_in
from tests.support.heads import BLOOD_HU, Head
from tests.support.result_inputs import MODEL, NODE
from tests.support.sender import request_for
from tests.unit.ml.test_inference import CARD, BrightIsBlood, segmenter

GRID = stack()
COMPLETION = CompletionSettings()
PACS = DestinationSettings(name="pacs", ae_title="PACS", host="127.0.0.1", port=104)


@dataclass(frozen=True)
class Site:
    """A node without its processes: tests call its steps in their order."""

    stores: Stores
    place: Workplace
    segmenter: Segmenter

    def receive(self, images: Sequence[Dataset]) -> None:
        for image in images:
            keep(request_for(image), self.stores, calling_ae_title="CT1")

    def complete(self) -> int:
        """Complete what is there; the number of its job."""
        now = datetime.now(UTC) + timedelta(hours=1)
        assert sweep(self.stores.database, self.stores.queues, COMPLETION, now=now) == 1
        with self.stores.database.read() as transaction:
            return transaction.jobs.list()[0].id

    def analyst(self) -> Analyst:
        return Analyst(self.place, self.segmenter)

    def run(self, job_id: int) -> Json:
        """All steps of an analysis; what the segmenting one left."""
        analyst = self.analyst()
        segmented = analyst.segment(job_id)
        analyst.record(job_id, analyst.encode(job_id, segmented))
        return segmented

    def analyse(self, images: Sequence[Dataset]) -> JobRecord:
        self.receive(images)
        job_id = self.complete()
        self.run(job_id)
        return self.job(job_id)

    def job(self, job_id: int) -> JobRecord:
        with self.stores.database.read() as transaction:
            job = transaction.jobs.get(job_id)
        assert job is not None
        return job

    def results(self, job_id: int) -> tuple[ResultRecord, ...]:
        with self.stores.database.read() as transaction:
            return transaction.results.of_job(job_id)

    def content(self, result: ResultRecord) -> bytes:
        return self.stores.files.path(result.path).read_bytes()

    def report(self, job_id: int) -> ReadBack:
        return read_report(self.stores.files.path(self.results(job_id)[-1].path))

    def queued(self) -> set[str]:
        with self.stores.database.engine.connect() as connection:
            rows = connection.exec_driver_sql("SELECT workflow_uuid FROM workflow_status")
            return {str(row[0]) for row in rows}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    database = Database(url_in(tmp_path))
    files = FileStore(tmp_path / "files", reserve_bytes=0)
    queues = Queues(database.engine)
    yield Site(
        Stores(database, files, queues, max_instance_bytes=1 << 26),
        Workplace("test", database, files, queues, (PACS,), NODE, MODEL, CARD.thresholds),
        segmenter(BrightIsBlood()),
    )
    queues.close()
    database.close()


def bleeding(name: str = "a", **attributes: object) -> list[Dataset]:
    """Scan a head with a bleed on its left."""
    return series_of(Head(holder=False).volume(GRID), name=name, **attributes)


def quiet(name: str = "a") -> list[Dataset]:
    """Scan the same head, its bleed as bright as brain."""
    volume = Head(holder=False).volume(GRID)
    volume.hu[(volume.hu > 50) & (volume.hu < 100)] = 35
    return series_of(volume, name=name)


def test_a_bleed_is_segmented_reported_and_enqueued_for_delivery(site: Site) -> None:
    images = bleeding()
    job = site.analyse(images)
    assert (job.state, job.outcome) == (JobState.SUCCEEDED, Outcome.POSITIVE)
    results = site.results(job.id)
    assert [result.kind for result in results] == ["SEG", "PAGE", "SR"]
    report = site.report(job.id)
    assert report.conclusion is Conclusion.POSITIVE
    assert list(read_stages(job.stages_json)) == list(Stage)
    assert {w.split(":")[0] for w in site.queued()} == {"analyse", "deliver"}
    with site.stores.database.read() as transaction:
        pending = transaction.results.pending(job.id, "pacs")
    assert [delivery.kind for delivery in pending] == ["SEG", "PAGE", "SR"]


def test_the_segmentation_lies_where_the_blood_is(site: Site) -> None:
    images = bleeding()
    job = site.analyse(images)
    segmentation = hd.seg.segread(BytesIO(site.content(site.results(job.id)[0])))
    mask = segmentation.get_pixels_by_source_instance(
        [image.SOPInstanceUID for image in images],
        combine_segments=True,
        assert_missing_frames_are_empty=True,
    )
    blood = np.abs(Head(holder=False).volume(GRID).hu - BLOOD_HU) < 1
    away = np.argwhere(mask > 0).mean(axis=0) - np.argwhere(blood).mean(axis=0)
    assert np.abs(away).max() < 1


def test_a_head_without_a_bleed_gets_a_report_and_no_segmentation(site: Site) -> None:
    job = site.analyse(quiet())
    assert job.outcome == Outcome.NEGATIVE
    assert [result.kind for result in site.results(job.id)] == ["PAGE", "SR"]


def used_to(*, noise_hu: float) -> Segmenter:
    """Load a model that was trained on heads of one noise."""
    known = fit([{"noise_hu": noise_hu}] * 20)
    return Segmenter(
        BrightIsBlood(),
        replace(CARD, familiarity=known),
        device="cpu",
        precision=Precision.FP32,
    )


def test_nothing_is_concluded_from_a_quiet_head_unlike_those_of_the_training(site: Site) -> None:
    site = replace(site, segmenter=used_to(noise_hu=50.0))
    job = site.analyse(quiet())
    assert (job.outcome, job.reason) == (Outcome.PARTIAL, Reason.QUALITY)
    assert job.message is not None
    assert "usual 50.0 to 50.0" in job.message
    report = site.report(job.id)
    assert (report.conclusion, report.reason) == (Conclusion.NO_RESULT, Reason.QUALITY)
    assert report.training_distance is not None
    assert report.training_limit is not None
    assert report.training_distance > report.training_limit


def test_a_bleed_in_a_head_unlike_those_of_the_training_is_reported(site: Site) -> None:
    site = replace(site, segmenter=used_to(noise_hu=50.0))
    job = site.analyse(bleeding())
    assert job.outcome == Outcome.PARTIAL
    assert [result.kind for result in site.results(job.id)] == ["SEG", "PAGE", "SR"]
    assert site.report(job.id).conclusion is Conclusion.PARTLY_POSITIVE


def test_a_head_like_those_of_the_training_is_negative_and_says_how_like(site: Site) -> None:
    volume = Head(holder=False).volume(GRID)
    noise_hu = describe(resample(volume, align(volume), CARD.input))["noise_hu"]
    site = replace(site, segmenter=used_to(noise_hu=noise_hu))
    job = site.analyse(quiet())
    assert job.outcome == Outcome.NEGATIVE
    report = site.report(job.id)
    assert report.conclusion is Conclusion.NEGATIVE
    assert report.training_distance is not None
    assert report.training_distance < 1


def unfit() -> dict[str, tuple[Callable[[], list[Dataset]], Outcome, Reason]]:
    """Studies that cannot be analysed, with the outcome and the reason that they are told."""
    return {
        "localizer": (
            lambda: head_series(GRID, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])[:1],
            Outcome.NOT_ATTEMPTED,
            Reason.TYPES,
        ),
        "secondary capture": (
            lambda: head_series(GRID, ImageType=["DERIVED", "SECONDARY"]),
            Outcome.NOT_ATTEMPTED,
            Reason.TYPES,
        ),
        "chest": (
            lambda: head_series(
                GRID,
                StudyDescription="CT chest",
                SeriesDescription="Lung",
                BodyPartExamined="CHEST",
            ),
            Outcome.NOT_ATTEMPTED,
            Reason.TYPES,
        ),
        "contrast": (
            lambda: head_series(GRID, ContrastBolusAgent="Iohexol"),
            Outcome.NOT_ATTEMPTED,
            Reason.TYPES,
        ),
        "one slice": (lambda: head_series(GRID)[:1], Outcome.FAILED, Reason.INCOMPLETE),
        "missing slices": (
            lambda: [image for k, image in enumerate(head_series(GRID)) if k not in (6, 7)],
            Outcome.FAILED,
            Reason.INCOMPLETE,
        ),
        "duplicate positions": (
            lambda: head_series(GRID, ImagePositionPatient=[0, 0, 0]),
            Outcome.FAILED,
            Reason.FORMAT,
        ),
        "no frame of reference": (
            lambda: head_series(GRID, FrameOfReferenceUID=None),
            Outcome.FAILED,
            Reason.FORMAT,
        ),
        "a phantom without a brain": (
            lambda: [_hollow(image) for image in head_series(GRID)],
            Outcome.FAILED,
            Reason.QUALITY,
        ),
    }


def _hollow(image: Dataset) -> Dataset:
    values = np.frombuffer(image.PixelData, "<u2").copy()
    values[(values > 1000) & (values < 1124)] = 24
    image.PixelData = values.tobytes()
    return image


@pytest.mark.parametrize("name", list(unfit()))
def test_a_study_that_cannot_be_analysed_is_told_why(site: Site, name: str) -> None:
    images, outcome, reason = unfit()[name]
    job = site.analyse(images())
    assert (job.state, job.outcome, job.reason) == (JobState.SUCCEEDED, outcome, reason)
    assert [result.kind for result in site.results(job.id)] == ["PAGE", "SR"]
    report = site.report(job.id)
    assert report.conclusion is Conclusion.NO_RESULT
    assert report.reason is reason


def test_a_repeated_step_writes_the_same_bytes_and_records_them_once(site: Site) -> None:
    site.receive(bleeding())
    job_id = site.complete()
    analyst = site.analyst()
    segmented = analyst.segment(job_id)
    encoded = analyst.encode(job_id, segmented)
    assert {**analyst.segment(job_id), "stages": segmented["stages"]} == segmented
    assert {**analyst.encode(job_id, segmented), "stages": encoded["stages"]} == encoded
    analyst.record(job_id, encoded)
    before = (site.results(job_id), site.queued())
    analyst.record(job_id, encoded)
    assert (site.results(job_id), site.queued()) == before


def test_late_images_of_another_series_make_nothing_new(site: Site) -> None:
    first = site.analyse(bleeding())
    scout = head_series(GRID, name="a/scout", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    second = site.analyse(scout[:1])
    assert (second.generation, second.outcome) == (2, first.outcome)
    assert site.results(second.id) == ()


def test_late_images_of_the_analysed_series_make_a_report_that_names_the_first(
    site: Site,
) -> None:
    images = bleeding()
    first = site.analyse(images[:-1])
    second = site.analyse(images[-1:])
    old, new = (dcmread(BytesIO(site.content(site.results(job.id)[-1]))) for job in (first, second))
    assert new.SOPInstanceUID != old.SOPInstanceUID
    named = new.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert named.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == old.SOPInstanceUID


def test_a_study_of_two_patients_is_reported_and_not_analysed(site: Site) -> None:
    images = bleeding()
    site.receive(images[:-1])
    images[-1].PatientID = "SOMEBODY ELSE"
    with pytest.raises(PatientConflictError):
        site.receive(images[-1:])
    with site.stores.database.read() as transaction:
        job_id = transaction.jobs.list()[0].id
    site.run(job_id)
    job = site.job(job_id)
    assert (job.outcome, job.reason) == (Outcome.FAILED, Reason.FORMAT)


def test_a_network_that_fails_ends_in_a_report_too(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.receive(bleeding())
    job_id = site.complete()

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("SECRET")

    monkeypatch.setattr(site.segmenter, "segment_aligned", fail)
    segmented = site.run(job_id)
    assert segmented["retry"] is True
    assert "SECRET" not in repr(segmented)
    job = site.job(job_id)
    assert (job.outcome, job.reason) == (Outcome.FAILED, Reason.EQUIPMENT)
    assert "SECRET" not in repr(job)


def test_a_lost_file_ends_in_a_report_of_what_is_left(site: Site) -> None:
    images = bleeding()
    site.receive(images)
    job_id = site.complete()
    _, study = site.place.job(job_id)
    site.place.paths(study)[3].write_bytes(b"lost")
    site.run(job_id)
    assert site.job(job_id).state is JobState.SUCCEEDED
    assert site.job(job_id).outcome == Outcome.FAILED


def test_a_study_without_any_readable_file_is_shown_to_the_administrator(site: Site) -> None:
    site.receive(bleeding())
    job_id = site.complete()
    _, study = site.place.job(job_id)
    for path in site.place.paths(study):
        path.write_bytes(b"lost")
    site.run(job_id)
    job = site.job(job_id)
    assert job.state is JobState.FAILED
    assert "No report" in (job.message or "")


def test_a_cancelled_job_takes_no_results_but_its_own_report(site: Site) -> None:
    site.receive(bleeding())
    job_id = site.complete()
    analyst = site.analyst()
    encoded = analyst.encode(job_id, analyst.segment(job_id))
    with site.stores.database.begin() as transaction:
        transaction.jobs.cancel(job_id, now=datetime.now(UTC))
    analyst.record(job_id, encoded)
    assert site.results(job_id) == ()
    closer = Deliverer(site.place, Settings(), caller_of(Settings()))
    closer.record(job_id, closer.encode_failure(job_id, Reason.UNSPECIFIED))
    assert site.job(job_id).state is JobState.CANCELLED
    report = site.report(job_id)
    assert report.reason is Reason.UNSPECIFIED


def test_an_analysis_given_up_is_reported_by_the_deliverer(site: Site) -> None:
    site.receive(bleeding())
    job_id = site.complete()
    site.analyst().segment(job_id)  # and then its worker died, again and again
    closer = Deliverer(site.place, Settings(), caller_of(Settings()))
    closer.record(job_id, closer.encode_failure(job_id, Reason.EQUIPMENT))
    job = site.job(job_id)
    assert (job.state, job.outcome, job.reason) == (
        JobState.SUCCEEDED,
        Outcome.FAILED,
        Reason.EQUIPMENT,
    )


def test_uids_differ_between_patients_and_say_nothing_of_them(site: Site) -> None:
    job = site.analyse(bleeding("b"))
    for result in site.results(job.id):
        assert result.sop_instance_uid.startswith("2.25.")
        assert uid("b", "study") not in result.sop_instance_uid
