"""Headers on their way through: from the source images, and to the objects made of them.

Source headers are copied before use, completed where the standard allows an empty value, and never
repaired. What highdicom takes from the clock or makes at random is set afterwards.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta, timezone
from io import BytesIO

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.uid import UID

from config.errors import PatientConflictError, UnreadableInputError
from node.implementation import IMPLEMENTATION_CLASS_UID
from node.results import codes
from node.results.identity import ResultContext

REQUIRED = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
"""A source without one of these gets no object, as it could not be filed under its study."""

TYPE_2 = (
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyID",
)
"""Attributes that may be empty but not absent, and that senders leave out."""

WITHHELD = ("PatientID", *TYPE_2)
"""What highdicom gets empty and `finish` puts in place: it refuses values that are not quite valid,
or writes them to its log.
"""

PATIENT_GROUPS = (0x0010, 0x0012)
PIXEL_GROUP = 0x7FE0
MOST_VERSION_NAME_CHARACTERS = 16


@dataclass(frozen=True, eq=False)
class Source:
    """Headers of the source images, made fit for highdicom without inventing anything.

    Attributes
    ----------
    headers
        Copies without pixels, in the order given, type 2 attributes completed empty; the first one
        lacks the values of `WITHHELD`.
    identity
        The first header with the patient's and study's attributes as they came.
    """

    headers: tuple[Dataset, ...]
    identity: Dataset


def prepare_source(context: ResultContext, headers: Sequence[Dataset]) -> Source:
    """Copy the headers of the source images and make sure that they are of one patient and study.

    Parameters
    ----------
    context
        Names the study that they must be of.
    headers
        One or more headers; not changed.

    Raises
    ------
    UnreadableInputError
        If an attribute is missing without which an object cannot be filed under its study.
    PatientConflictError
        If they are not all of the context's study and of one patient.
    """
    if not headers:
        raise ValueError("an object needs at least one source image")
    copies = [_completed(header) for header in headers]
    patients = {(copy.PatientID, copy.get("IssuerOfPatientID")) for copy in copies}
    studies = {copy.StudyInstanceUID for copy in copies}
    if len(patients) > 1 or studies != {context.study_instance_uid}:
        raise PatientConflictError(
            f"source images are of {len(patients)} patients and {len(studies)} studies, or of "
            "another study than the job"
        )
    identity = deepcopy(copies[0])  # its elements become those of the new object
    bare = Dataset()
    bare.update(identity)
    for keyword in WITHHELD:
        replace_value(bare, keyword, "")
    return Source((bare, *copies[1:]), identity)


def _completed(header: Dataset) -> Dataset:
    """Copy a header: readable elements only, type 2 attributes there, empty type 1C ones not.

    highdicom copies every attribute of the patient and study, and an empty one of type 1C makes the
    object invalid; Patient Identity Removed demands a method (PS3.3 C.7.1.1).
    """
    copy = Dataset()
    for tag in header.keys():  # noqa: SIM118 - iterating a dataset reads every element
        if tag.is_private or tag.group >= PIXEL_GROUP:
            continue
        try:
            element = header[tag]
        except (ValueError, TypeError, NotImplementedError, BytesLengthException):
            continue  # one unreadable attribute must not cost the report
        of_patient = tag.group in PATIENT_GROUPS
        if not (of_patient and element.is_empty and element.keyword not in TYPE_2):
            copy.add(element)
    for keyword in REQUIRED:
        if not copy.get(keyword):
            raise UnreadableInputError(f"a source image has no {keyword}")
    if not (copy.get("DeidentificationMethod") or copy.get("DeidentificationMethodCodeSequence")):
        copy.pop("PatientIdentityRemoved", None)
    for keyword in TYPE_2:
        if keyword not in copy:
            replace_value(copy, keyword, "")
    return copy


def replace_value(copy: Dataset, keyword: str, value: object) -> None:
    """Give a copied header another value.

    Copies share their elements with the original, and an assignment to an attribute would change
    the element: it is replaced instead.
    """
    copy.add_new(keyword, dictionary_VR(keyword), value)


def finish(dataset: Dataset, context: ResultContext, source: Source) -> None:
    """Set on a new object what highdicom leaves out, takes from the clock, or makes at random.

    Parameters
    ----------
    dataset
        Object made by highdicom with `ResultContext.constructor_arguments`; changed in place.
    context
        The same as for the constructor.
    source
        The same as for the constructor.
    """
    identity = source.identity
    dataset.copy_patient_and_study_information(identity)
    for keyword in ("SpecificCharacterSet", "TimezoneOffsetFromUTC"):
        if identity.get(keyword):
            dataset[keyword] = identity[keyword]
    created = context.created.astimezone(_zone_of(identity) or context.created.tzinfo)
    for keyword in ("InstanceCreation", "Content"):
        setattr(dataset, f"{keyword}Date", f"{created:%Y%m%d}")
        setattr(dataset, f"{keyword}Time", f"{created:%H%M%S}")
    for item in dataset.ContributingEquipmentSequence:
        if codes.is_code(item.PurposeOfReferenceCodeSequence[0], codes.PROCESSING_EQUIPMENT):
            item.ContributionDateTime = f"{created:%Y%m%d%H%M%S%z}"
    for item in (
        *dataset.get("DimensionOrganizationSequence", ()),
        *dataset.get("DimensionIndexSequence", ()),
    ):
        item.DimensionOrganizationUID = context.uid("dimensions")
    version_name = f"MIDLINE {context.node.version}"
    dataset.file_meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    dataset.file_meta.ImplementationVersionName = version_name[:MOST_VERSION_NAME_CHARACTERS]


def _zone_of(header: Dataset) -> timezone | None:
    """Zone named by Timezone Offset From UTC (0008,0201), ``+HHMM`` or ``-HHMM``, if it is one."""
    text = str(header.get("TimezoneOffsetFromUTC") or "")
    if len(text) != 5 or text[0] not in "+-" or not text[1:].isdecimal():
        return None
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[3:]))
    return timezone(-offset if text[0] == "-" else offset) if offset < timedelta(days=1) else None


def encode(dataset: Dataset) -> bytes:
    """Write an object as a DICOM file (PS3.10); the same object always gives the same bytes."""
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def is_multi_frame(header: Dataset) -> bool:
    """Tell whether an image keeps its geometry frame by frame (PS3.3 C.7.6.16)."""
    return "PerFrameFunctionalGroupsSequence" in header
