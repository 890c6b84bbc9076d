"""Gates on what a series is, says and stores; those on positions are in `geometry`."""

from collections.abc import Callable, Sequence

from pydicom.dataset import Dataset

from config.errors import UnreadableInputError
from ml.readers.attributes import items_of, text_of
from ml.readers.dicom import CT_SOP_CLASSES, hounsfield_fault
from ml.readers.frames import FrameHeader, frame_headers
from ml.readers.pixels import pixel_format
from node.implementation import CONTRIBUTION
from node.selection.candidates import Candidate
from node.selection.geometry import stack_fault
from node.selection.rejections import Criteria, Fault, Rejection
from node.selection.text import is_agent, names_a_head, names_contrast, other_examination

OWN_MANUFACTURER = "MIDLINE"
PROCESSED = frozenset(
    (
        "MIP",
        "MINIP",
        "MPR",
        "REFORMATTED",
        "PERFUSION",
        "MONOENERGETIC",
        "VMI",
        "VNC",
        "IODINE",
        "SUBTRACTION",
        "PROJECTION IMAGE",
    )
)
SUMMARIES = frozenset(("DOSE_INFO", "SCREEN SAVE", "REF_SURVIEW", "PATIENT_INFO", "RESULTS"))
_DESCRIPTIONS = ("StudyDescription", "SeriesDescription", "ProtocolName", "BodyPartExamined")
_SAME_IN_A_SERIES = ("FrameOfReferenceUID", "PatientID", "IssuerOfPatientID", "StudyInstanceUID")


def first_fault(candidate: Candidate, criteria: Criteria) -> Fault | None:
    """Find the first gate that a series fails: what it is, what it says, how it is stored, where.

    The order makes the answer telling: whoever fails a late gate was a head CT up to there.
    """
    fault = _kind_fault(candidate)
    if fault is not None:
        return fault
    fault = stack_fault(candidate.frames, criteria)
    if fault is None and not text_of(candidate.headers[0], "FrameOfReferenceUID"):
        return Fault(Rejection.NO_GEOMETRY, "Frame of Reference UID is missing")
    return fault


def image_fault(header: Dataset, frames: Sequence[FrameHeader]) -> Fault | None:
    """Find the first gate that a series fails by what one of its images is, says and stores.

    Parameters
    ----------
    header
        Of the image, with its file meta information.
    frames
        As `frame_headers` describes them.
    """
    return _kind_fault(Candidate("", None, (), (header,), tuple(frames)))


def _kind_fault(candidate: Candidate) -> Fault | None:
    faults = (gate(candidate) for gate in _GATES)
    return next((fault for fault in faults if fault is not None), None)


def descriptions_of(header: Dataset) -> list[str]:
    """Texts that may name a head; an enhanced image codes the region in its functional groups."""
    texts = [text_of(header, keyword) for keyword in _DESCRIPTIONS]
    shared = items_of(header, "SharedFunctionalGroupsSequence")
    anatomies = [item for group in shared for item in items_of(group, "FrameAnatomySequence")]
    for parent in (header, *anatomies):
        regions = items_of(parent, "AnatomicRegionSequence")
        texts.extend(text_of(region, "CodeMeaning") for region in regions)
    return texts


def _object_gate(candidate: Candidate) -> Fault | None:
    for header in candidate.headers:
        if _is_contributed(header):
            return Fault(Rejection.OWN_RESULT)
        is_ct_image = text_of(header, "SOPClassUID") in CT_SOP_CLASSES
        modality = text_of(header, "Modality")
        if is_ct_image and modality == "CT":
            continue
        if text_of(header, "Manufacturer").upper().startswith(OWN_MANUFACTURER):
            return Fault(Rejection.OWN_RESULT)
        if modality != "CT":
            return Fault(Rejection.NOT_CT, "Modality is not CT")
        return Fault(Rejection.SECONDARY, "SOP Class is none of CT images")
    return None


def _is_contributed(header: Dataset) -> bool:
    """Whether this node had a part in an object, under whatever name of a manufacturer."""
    return any(
        text_of(item, "ContributionDescription") == CONTRIBUTION
        for item in items_of(header, "ContributingEquipmentSequence")
    )


def _image_type_gate(candidate: Candidate) -> Fault | None:
    if any(text_of(header, "BurnedInAnnotation") == "YES" for header in candidate.headers):
        return Fault(Rejection.SECONDARY, "Burned In Annotation is YES")
    faults = (_image_type_fault(frame.image_type) for frame in candidate.frames)
    return next((fault for fault in faults if fault is not None), None)


def _image_type_fault(image_type: tuple[str, ...]) -> Fault | None:
    r"""Tell original slices by Image Type (PS3.3 C.7.6.1.1.2, C.8.2.1.1.1).

    ORIGINAL\SECONDARY\AXIAL is accepted: a later reconstruction from the raw data.
    """
    kinds = {value.upper() for value in image_type}
    if "LOCALIZER" in kinds:
        return Fault(Rejection.LOCALIZER)
    for known, rejection in ((PROCESSED, Rejection.PROCESSED), (SUMMARIES, Rejection.SECONDARY)):
        if kinds & known:
            return Fault(rejection, f"Image Type has {min(kinds & known)}")
    if "SECONDARY" in kinds and not {"ORIGINAL", "AXIAL"} <= kinds:
        return Fault(Rejection.SECONDARY, "Image Type has SECONDARY")
    if "DERIVED" in kinds and "AXIAL" not in kinds:
        return Fault(Rejection.PROCESSED, "Image Type has DERIVED without AXIAL")
    return None


def _text_gate(candidate: Candidate) -> Fault | None:
    header = candidate.headers[0]
    series, protocol = text_of(header, "SeriesDescription"), text_of(header, "ProtocolName")
    if names_a_head(descriptions_of(header)) is False:
        return Fault(Rejection.NOT_A_HEAD)
    term = other_examination(series, protocol)
    if term:
        return Fault(Rejection.OTHER_EXAMINATION, f"a description has {term}")
    if names_contrast(series, protocol):
        return Fault(Rejection.CONTRAST, "a description says so")
    return None


def _contrast_gate(candidate: Candidate) -> Fault | None:
    for header in candidate.headers:
        if is_agent(text_of(header, "ContrastBolusAgent")):
            return Fault(Rejection.CONTRAST, "Contrast/Bolus Agent has a value")
        if items_of(header, "ContrastBolusAgentSequence"):
            return Fault(Rejection.CONTRAST, "Contrast/Bolus Agent Sequence has items")
    return None


def _pixel_gate(candidate: Candidate) -> Fault | None:
    for header in candidate.headers:
        try:
            stored = pixel_format(header)
        except UnreadableInputError as error:
            return Fault(Rejection.UNREADABLE, str(error))
        described = len(frame_headers(header, 0)) if stored.num_frames > 1 else 1
        if described != stored.num_frames:
            detail = f"{described} of {stored.num_frames} frames are described"
            return Fault(Rejection.UNREADABLE, detail)
    for frame in candidate.frames:
        fault = hounsfield_fault(candidate.headers[frame.reference.dataset_index], frame)
        if fault:
            return Fault(Rejection.NOT_HU, fault)
    return None


def _mixture_gate(candidate: Candidate) -> Fault | None:
    for keyword in _SAME_IN_A_SERIES:
        if len({text_of(header, keyword) for header in candidate.headers}) > 1:
            return Fault(Rejection.MIXED, f"images differ in {keyword}")
    if len({text_of(header, "SOPInstanceUID") for header in candidate.headers}) < len(
        candidate.headers
    ):
        return Fault(Rejection.DUPLICATE_POSITIONS, "images share a SOP Instance UID")
    if len({frame.convolution_kernel for frame in candidate.frames}) > 1:
        return Fault(Rejection.MIXED, "images differ in Convolution Kernel")
    if len({frame.image_type[:1] for frame in candidate.frames}) > 1:
        return Fault(Rejection.MIXED, "original and derived images in one series")
    if len({frame.stack_id for frame in candidate.frames}) > 1:
        return Fault(Rejection.MIXED, "several stacks in one series")
    return None


_GATES: tuple[Callable[[Candidate], Fault | None], ...] = (
    _object_gate,
    _image_type_gate,
    _text_gate,
    _contrast_gate,
    _pixel_gate,
    _mixture_gate,
)
