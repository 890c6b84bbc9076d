"""The cross-patient guard: nothing of one patient is analysed for, or sent with, another one.

At reception the index tells patients apart, and selection takes one series of one patient. Here the
chosen images are held against the rows of their job before they are analysed, and every object
against them before each attempt to send it: patient, study, frame of reference, and everything that
it refers to. What does not belong is never sent.
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import NoReturn

from pydicom import dcmread
from pydicom.dataset import Dataset

from config.errors import GuardError, InputError
from ml.readers.part10 import quiet, read_header
from node.audit import events
from node.audit.deliveries import study_of_job
from node.audit.trail import Write, untold
from node.pseudonyms import patient_key
from storage.database import Database
from storage.files import FileStore
from storage.records import (
    CompleteStudy,
    DeliveryRecord,
    ResultRecord,
    StoredInstance,
    StudyRecord,
)

logger = logging.getLogger(__name__)

STORAGE_CLASSES = "1.2.840.10008.5.1.4.1.1."
"""Root of the storage SOP classes: references to others, such as procedure steps, are copied from
the images and say nothing of what was analysed."""
FRAMES_OF_REFERENCE = ("FrameOfReferenceUID", "ReferencedFrameOfReferenceUID")
MOST_REMEMBERED = 10_000
MOST_JOBS = 1000
"""Of one study, far more than there ever are."""


@dataclass(frozen=True)
class Belongings:
    """What a job may speak of: the rows of its study.

    Attributes
    ----------
    study
        The study as it was complete for the job.
    results
        SOP class of each result of the study, by SOP Instance UID.
    images
        The study's images, likewise.
    """

    study: CompleteStudy
    results: Mapping[str, str]
    images: Mapping[str, StoredInstance]


class Guard:
    """Holds a job's input and output against the rows of its study.

    Parameters
    ----------
    database, files
        Where rows and objects are.
    audit
        Is told of what was stopped.
    """

    def __init__(self, database: Database, files: FileStore, audit: Write = untold) -> None:
        self._database, self._files, self._audit = database, files, audit
        self._passed: set[tuple[int, str]] = set()

    def check_input(self, headers: Sequence[Dataset], study: CompleteStudy) -> None:
        """Make sure that the images to be analysed are one series of the job's study.

        Raises
        ------
        GuardError
            If one of them is not.
        """
        try:
            self._check_input(headers, study)
        except GuardError as error:
            logger.critical("the cross-patient guard stopped an analysis: %s", error)
            with self._database.read() as transaction:
                concerned = transaction.studies.get(study.id)
            self._tell(concerned, error)
            raise

    def _check_input(self, headers: Sequence[Dataset], study: CompleteStudy) -> None:
        images = {image.sop_instance_uid: image for image in study.instances}
        for header in headers:
            image = images.get(_text(header, "SOPInstanceUID"))
            if image is None:
                _stop("an image to be analysed is none of its study")
            if _text(header, "SeriesInstanceUID") != image.series_instance_uid:
                _stop("an image to be analysed is of another series")
            self._check_owner(header, study, "an image to be analysed")
        if len({_text(header, "SeriesInstanceUID") for header in headers}) > 1:
            _stop("images to be analysed are of several series")

    def problem_of(self, job_id: int, deliveries: Sequence[DeliveryRecord]) -> str:
        """Say why objects must not be sent; empty if they belong to the study of their job.

        What passed once is only held against its digest again.
        """
        try:
            with self._database.read() as transaction:
                results = {each.id: each for each in transaction.results.of_job(job_id)}
            for delivery in deliveries:
                self._check_output(results[delivery.result_id], delivery)
        except GuardError as error:
            logger.critical("the cross-patient guard stopped a delivery: %s", error)
            self._tell(study_of_job(self._database, job_id), error)
            return f"stopped by the cross-patient guard: {error}"
        return ""

    def _tell(self, study: StudyRecord | None, error: GuardError) -> None:
        if study is not None:
            self._audit(events.guarded(study, str(error)))

    def _check_output(self, result: ResultRecord, delivery: DeliveryRecord) -> None:
        """Check one object; headers only, once."""
        try:
            content = self._files.path(delivery.path).read_bytes()
        except OSError as error:
            raise GuardError(f"a {result.kind} cannot be read ({error.strerror})") from error
        if hashlib.sha256(content).hexdigest() != result.sha256:
            _stop(f"a {result.kind} was changed since it was made")
        passed = (result.job_id, result.sha256)
        if passed in self._passed:
            return
        header = _header_of(content, result.kind)
        self._check_identity(header, result)
        self._check_references(header, self._belongings(result.job_id), result.kind)
        if len(self._passed) >= MOST_REMEMBERED:
            self._passed.clear()
        self._passed.add(passed)

    def _belongings(self, job_id: int) -> Belongings:
        with self._database.read() as transaction:
            job = transaction.jobs.get(job_id)
            if job is None:
                _stop("the job of a result is not in the index")
            study = transaction.studies.read_complete(job.study_id, job.generation)
            if study is None:
                _stop("the study of a result is not in the index")
            jobs = transaction.jobs.list(study_id=study.id, limit=MOST_JOBS)
            results = [made for each in jobs for made in transaction.results.of_job(each.id)]
        return Belongings(
            study=study,
            results={made.sop_instance_uid: made.sop_class_uid for made in results},
            images={image.sop_instance_uid: image for image in study.instances},
        )

    def _check_identity(self, header: Dataset, result: ResultRecord) -> None:
        for keyword, expected in (
            ("SOPInstanceUID", result.sop_instance_uid),
            ("SOPClassUID", result.sop_class_uid),
        ):
            if _text(header, keyword) != expected:
                _stop(f"the {keyword} of a {result.kind} is not the recorded one")

    def _check_owner(self, header: Dataset, study: CompleteStudy, what: str) -> None:
        if patient_key(header, site_key=self._files.site_key) != study.patient_key:
            _stop(f"{what} is of another patient")
        if _text(header, "StudyInstanceUID") != study.study_instance_uid:
            _stop(f"{what} is of another study")

    def _check_references(self, header: Dataset, own: Belongings, kind: str) -> None:
        """Check whose an object is, and whose everything is that it refers to."""
        self._check_owner(header, own.study, f"a {kind}")
        shown: dict[str, StoredInstance] = {}
        frames_of_reference = {_text(header, "FrameOfReferenceUID")}
        for item in _items(header):
            study = _text(item, "StudyInstanceUID")
            if study and study != own.study.study_instance_uid:
                _stop(f"a {kind} refers to another study")
            frames_of_reference.update(_text(item, keyword) for keyword in FRAMES_OF_REFERENCE)
            shown |= _images_of(item, own, kind)
        frames_of_reference.discard("")
        if frames_of_reference:
            self._check_frames_of_reference(frames_of_reference, shown, kind)

    def _check_frames_of_reference(
        self, found: set[str], shown: Mapping[str, StoredInstance], kind: str
    ) -> None:
        """Hold frames of reference against one image of each series: a series has one."""
        series = {image.series_instance_uid: image for image in shown.values()}
        known = {self._frame_of_reference(self._files.path(i.path)) for i in series.values()}
        if not found <= known:
            _stop(f"a {kind} has a frame of reference that none of its images has")

    def _frame_of_reference(self, path: Path) -> str:
        try:
            return _text(read_header(path), "FrameOfReferenceUID")
        except InputError as error:
            raise GuardError("an image that a result refers to cannot be read") from error


def _images_of(item: Dataset, own: Belongings, kind: str) -> dict[str, StoredInstance]:
    """Check the reference in an item, if it is one, and find the image that it means.

    Items of a series with its images (PS3.3 C.7.6.16, C.12.1.1.2) are checked together.
    """
    series = _text(item, "SeriesInstanceUID")
    found = {}
    for reference in (item, *_children(item)) if series else (item,):
        sop_class_uid = _text(reference, "ReferencedSOPClassUID")
        sop_instance_uid = _text(reference, "ReferencedSOPInstanceUID")
        if not sop_instance_uid or not sop_class_uid.startswith(STORAGE_CLASSES):
            continue
        image = own.images.get(sop_instance_uid)
        if image is None and own.results.get(sop_instance_uid) != sop_class_uid:
            _stop(f"a {kind} refers to an object that is none of its study")
        if image is not None:
            if image.sop_class_uid != sop_class_uid:
                _stop(f"a {kind} refers to an image under another SOP class")
            if reference is not item and image.series_instance_uid != series:
                _stop(f"a {kind} refers to an image under another series")
            found[sop_instance_uid] = image
    return found


def _header_of(content: bytes, kind: str) -> Dataset:
    try:
        with quiet():
            return dcmread(BytesIO(content), stop_before_pixels=True)
    except Exception as error:  # whatever pydicom raises: what cannot be checked is not sent
        raise GuardError(f"a {kind} is no DICOM file") from error


def _items(dataset: Dataset) -> Iterator[Dataset]:
    """Walk through the items of all sequences of a data set, at every depth."""
    for child in _children(dataset):
        yield child
        yield from _items(child)


def _children(dataset: Dataset) -> Iterator[Dataset]:
    for element in dataset:
        if element.VR == "SQ":
            yield from element.value


def _text(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    return "" if value is None else str(value).strip().rstrip("\0")


def _stop(reason: str) -> NoReturn:
    raise GuardError(reason)
