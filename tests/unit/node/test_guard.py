"""What does not belong to the study of its job is neither analysed nor sent."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from config.errors import GuardError
from ml.readers.dicom import Series
from ml.volume import Subtype
from node.guard import Guard
from node.results.forms import Forms
from node.results.headers import encode
from node.results.outcomes import StudyResult
from node.writing import Analysis, ResultObject, write
from storage.database import Database
from storage.files import FileStore
from storage.records import CompleteStudy, NewResult
from tests.support.databases import url_in
from tests.support.held import hold
from tests.support.received import NOW, complete_study
from tests.support.result_inputs import (
    make_context,
    make_findings,
    make_grid,
    make_mask,
    make_series,
    uid,
)

SERIES = make_series(make_grid())
FORMS = Forms(overlay=True, key_objects=True)


@pytest.fixture(scope="module")
def objects() -> tuple[ResultObject, ...]:
    mask = make_mask(make_grid(), (Subtype.SDH,))
    findings = make_findings(mask, (Subtype.SDH,))
    result = StudyResult.positive(findings, num_images=12, case_score_percent=97.0)
    return write(make_context(), Analysis(SERIES, mask, result), forms=FORMS)


class Node:
    """An index with one complete study and its job, without results."""

    def __init__(self, folder: Path, series: Series = SERIES) -> None:
        self.database = Database(url_in(folder))
        self.files = FileStore(folder / "files", reserve_bytes=0)
        self.guard = Guard(self.database, self.files)
        with self.database.begin() as transaction:
            study_id = hold(transaction, self.files, series.headers, now=NOW)
            self.study: CompleteStudy = complete_study(transaction, study_id)
            self.job = transaction.jobs.create(study_id, self.study.generation, now=NOW)

    def problem_with(self, made: dict[str, bytes], objects: tuple[ResultObject, ...]) -> str:
        """Record objects, with other content where it is given by kind, and ask the guard."""
        results = []
        for position, each in enumerate(objects):
            stored = self.files.write_result(made.get(each.kind, each.content), job_id=self.job.id)
            results.append(
                NewResult(
                    kind=each.kind,
                    sop_class_uid=each.sop_class_uid,
                    sop_instance_uid=each.sop_instance_uid,
                    path=stored.path,
                    sha256=stored.sha256,
                    position=position,
                )
            )
        with self.database.begin() as transaction:
            transaction.results.record(self.job.id, results, ["pacs"], now=NOW)
        return self.ask()

    def ask(self) -> str:
        with self.database.read() as transaction:
            deliveries = transaction.results.pending(self.job.id, "pacs")
        assert deliveries
        return self.guard.problem_of(self.job.id, deliveries)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path)
    yield node
    node.database.close()


def test_every_form_of_a_result_passes(node: Node, objects: tuple[ResultObject, ...]) -> None:
    assert {"SEG", "SR", "KOS"} <= {each.kind for each in objects}
    assert node.problem_with({}, objects) == ""
    assert node.ask() == ""


def _patient(ds: Dataset) -> None:
    ds.PatientID = "SYN-2"


def _issuer(ds: Dataset) -> None:
    ds.IssuerOfPatientID = "ELSEWHERE"


def _study(ds: Dataset) -> None:
    ds.StudyInstanceUID = uid("another study")


def _frame_of_reference(ds: Dataset) -> None:
    ds.FrameOfReferenceUID = uid("another frame")


def _instance(ds: Dataset) -> None:
    ds.SOPInstanceUID = uid("another instance")


def _source_image(ds: Dataset) -> None:
    frame = ds.PerFrameFunctionalGroupsSequence[-1]
    source = frame.DerivationImageSequence[0].SourceImageSequence[0]
    source.ReferencedSOPInstanceUID = uid("an image of somebody else")


def _series_of_source(ds: Dataset) -> None:
    ds.ReferencedSeriesSequence[0].SeriesInstanceUID = uid("another series")


def _class_of_source(ds: Dataset) -> None:
    reference = ds.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0]
    reference.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"


def _evidence_of_another_study(ds: Dataset) -> None:
    evidence = ds.CurrentRequestedProcedureEvidenceSequence[0]
    evidence.StudyInstanceUID = uid("another study")


def _segmentation_of_another_job(ds: Dataset) -> None:
    for item in ds.iterall():
        if item.keyword == "ReferencedSOPInstanceUID" and item.value not in _images():
            item.value = uid("another segmentation")


def _images() -> set[str]:
    return {str(header.SOPInstanceUID) for header in SERIES.headers}


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    [
        ("SEG", _patient, "of another patient"),
        ("SR", _patient, "of another patient"),
        ("SR", _issuer, "of another patient"),
        ("SEG", _study, "of another study"),
        ("SEG", _frame_of_reference, "frame of reference"),
        ("SEG", _instance, "SOPInstanceUID of a SEG"),
        ("SEG", _source_image, "none of its study"),
        ("SEG", _series_of_source, "under another series"),
        ("SEG", _class_of_source, "another SOP class"),
        ("SR", _evidence_of_another_study, "refers to another study"),
        ("SR", _segmentation_of_another_job, "none of its study"),
    ],
)
def test_an_object_that_does_not_belong_is_stopped(
    node: Node,
    objects: tuple[ResultObject, ...],
    kind: str,
    change: Callable[[Dataset], None],
    reason: str,
) -> None:
    (content,) = [each.content for each in objects if each.kind == kind]
    ds = dcmread(BytesIO(content))
    change(ds)
    problem = node.problem_with({kind: encode(ds)}, objects)
    assert reason in problem
    assert "SYN-" not in problem


def test_an_object_that_passed_is_stopped_when_its_file_changes(
    node: Node, objects: tuple[ResultObject, ...]
) -> None:
    assert node.problem_with({}, objects) == ""
    with node.database.read() as transaction:
        first = transaction.results.pending(node.job.id, "pacs")[0]
    path = node.files.path(first.path)
    path.write_bytes(path.read_bytes() + b"\0")
    assert "changed since it was made" in node.ask()
    path.unlink()
    assert "cannot be read" in node.ask()


def test_what_is_no_dicom_is_stopped(node: Node, objects: tuple[ResultObject, ...]) -> None:
    assert "no DICOM file" in node.problem_with({"SR": b"PATIENT NAME"}, objects)


def test_the_images_of_the_study_may_be_analysed(node: Node) -> None:
    node.guard.check_input(SERIES.headers, node.study)


@pytest.mark.parametrize(
    ("keyword", "value", "reason"),
    [
        ("PatientID", "SYN-2", "another patient"),
        ("IssuerOfPatientID", "ELSEWHERE", "another patient"),
        ("StudyInstanceUID", "2.25.9", "another study"),
        ("SeriesInstanceUID", "2.25.9", "another series"),
        ("SOPInstanceUID", "2.25.9", "none of its study"),
    ],
)
def test_an_image_of_somebody_else_is_not_analysed(
    node: Node, keyword: str, value: str, reason: str
) -> None:
    stranger = deepcopy(SERIES.headers[0])
    stranger.add_new(keyword, SERIES.headers[0][keyword].VR, value)
    with pytest.raises(GuardError, match=reason):
        node.guard.check_input([*SERIES.headers[1:], stranger], node.study)
