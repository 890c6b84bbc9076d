"""In which forms a result is written for a destination, and which form follows a refused one.

Forms of one result with different content never share a UID (PS3.3 C.12.1.1).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

from config.settings import ReceiverSettings

# written out: pydicom takes a third of a second to load, and whoever asks how the node stands waits
BasicTextSRStorage = "1.2.840.10008.5.1.4.1.1.88.11"
EnhancedSRStorage = "1.2.840.10008.5.1.4.1.1.88.22"
ComprehensiveSRStorage = "1.2.840.10008.5.1.4.1.1.88.33"
Comprehensive3DSRStorage = "1.2.840.10008.5.1.4.1.1.88.34"
KeyObjectSelectionDocumentStorage = "1.2.840.10008.5.1.4.1.1.88.59"
SecondaryCaptureImageStorage = "1.2.840.10008.5.1.4.1.1.7"
SegmentationStorage = "1.2.840.10008.5.1.4.1.1.66.4"
LabelMapSegmentationStorage = "1.2.840.10008.5.1.4.1.1.66.7"
ExplicitVRLittleEndian = "1.2.840.10008.1.2.1"
JPEG2000Lossless = "1.2.840.10008.1.2.4.90"
RLELossless = "1.2.840.10008.1.2.5"

Form = TypeVar("Form", bound=StrEnum)


class SegmentationForm(StrEnum):
    """How the mask is written."""

    BINARY = "BINARY"
    """Segmentation Storage, one bit for each voxel and segment."""
    LABELMAP = "LABELMAP"
    """Label Map Segmentation Storage; few archives hand it on."""
    NONE = "NONE"


class Compression(StrEnum):
    """Lossless compression of the pixels of a Segmentation."""

    NONE = "NONE"
    JPEG2000 = "JPEG2000"
    """For BINARY and LABELMAP."""
    RLE = "RLE"
    """For LABELMAP."""


class ReportForm(StrEnum):
    """How the report is written, richest first."""

    COMPREHENSIVE_3D = "COMPREHENSIVE_3D"
    COMPREHENSIVE = "COMPREHENSIVE"
    ENHANCED = "ENHANCED"
    BASIC_TEXT = "BASIC_TEXT"
    """Text alone: a machine can conclude nothing from it."""
    NONE = "NONE"
    """The summary page has to tell it."""


SEGMENTATION_CLASSES: Mapping[SegmentationForm, str] = MappingProxyType(
    {
        SegmentationForm.BINARY: SegmentationStorage,
        SegmentationForm.LABELMAP: LabelMapSegmentationStorage,
    }
)
"""SOP class of each form of the mask."""

REPORT_CLASSES: Mapping[ReportForm, str] = MappingProxyType(
    {
        ReportForm.COMPREHENSIVE_3D: Comprehensive3DSRStorage,
        ReportForm.COMPREHENSIVE: ComprehensiveSRStorage,
        ReportForm.ENHANCED: EnhancedSRStorage,
        ReportForm.BASIC_TEXT: BasicTextSRStorage,
    }
)
"""SOP class of each form of the report."""


TRANSFER_SYNTAXES: Mapping[Compression, str] = MappingProxyType(
    {
        Compression.NONE: ExplicitVRLittleEndian,
        Compression.JPEG2000: JPEG2000Lossless,
        Compression.RLE: RLELossless,
    }
)
"""Not every peer reads them: dcmqi 1.5 takes all JPEG 2000 for lossy, and refuses it."""


@dataclass(frozen=True)
class Forms:
    """What one destination gets.

    Attributes
    ----------
    segmentation, compression
        Form of the mask.
    keep_empty_frames
        Whether frames without a lesion are written too, for viewers that misplace the others.
    report
        Form of the report.
    summary_page
        A Secondary Capture page for eyes, of every outcome.
    overlay
        A Secondary Capture series of the slices with outlines drawn in.
    key_objects
        A Key Object Selection of the slices to look at.
    """

    segmentation: SegmentationForm = SegmentationForm.BINARY
    compression: Compression = Compression.NONE
    keep_empty_frames: bool = False
    report: ReportForm = ReportForm.COMPREHENSIVE_3D
    summary_page: bool = True
    overlay: bool = False
    key_objects: bool = False

    def __post_init__(self) -> None:
        """Refuse forms that no object has, and silence."""
        if self.compression is Compression.RLE and self.segmentation is SegmentationForm.BINARY:
            raise ValueError("a BINARY Segmentation cannot be compressed by RLE")
        if self.report is ReportForm.NONE and not self.summary_page:
            raise ValueError("a destination gets a report, a summary page, or both")

    def __str__(self) -> str:
        """Name them in the order of sending, for example ``SEG BINARY, page, SR ENHANCED``."""
        named = (
            (self.segmentation is not SegmentationForm.NONE, f"SEG {self.segmentation}"),
            (self.compression is not Compression.NONE, str(self.compression)),
            (self.keep_empty_frames, "all frames"),
            (self.summary_page, "page"),
            (self.overlay, "overlay"),
            (self.key_objects, "KOS"),
            (self.report is not ReportForm.NONE, f"SR {self.report}"),
        )
        return ", ".join(name for is_there, name in named if is_there)


def forms_of(destination: ReceiverSettings, refused: Collection[str] = ()) -> Forms:
    """Choose what a destination gets: what the site wants, less what the destination refuses."""
    wanted = Forms(
        segmentation=SegmentationForm(destination.segmentation),
        compression=Compression(destination.compression),
        keep_empty_frames=destination.keep_empty_frames,
        report=ReportForm(destination.report),
        summary_page=destination.summary_page,
        overlay=destination.overlay,
        key_objects=destination.key_objects,
    )
    return without(wanted, refused)


def without(forms: Forms, refused: Collection[str]) -> Forms:
    """Step down from what a destination refuses.

    A compressed mask becomes a plain one, LABELMAP becomes BINARY; no Segmentation at all, an
    overlay. The report falls from Comprehensive 3D to Comprehensive, to Enhanced, to text, to the
    summary page alone.

    Parameters
    ----------
    forms
        What the settings ask for.
    refused
        SOP classes and transfer syntaxes that the destination does not take.

    Returns
    -------
    Forms
        The richest forms that are left. If it refuses Secondary Capture too, the plainest report
        stays, which was refused last: the refusal is then the administrator's to see.
    """
    takes_captures = SecondaryCaptureImageStorage not in refused
    report = _first_taken(tuple(ReportForm), forms.report, REPORT_CLASSES, refused)
    if report is ReportForm.NONE and not takes_captures and forms.report is not report:
        report = ReportForm.BASIC_TEXT
    ladder = (SegmentationForm.LABELMAP, SegmentationForm.BINARY, SegmentationForm.NONE)
    segmentation = _first_taken(ladder, forms.segmentation, SEGMENTATION_CLASSES, refused)
    lost_mask = segmentation is not forms.segmentation and segmentation is SegmentationForm.NONE
    is_taken = TRANSFER_SYNTAXES[forms.compression] not in refused
    keeps_syntax = segmentation is forms.segmentation and is_taken
    return replace(
        forms,
        segmentation=segmentation,
        compression=forms.compression if keeps_syntax else Compression.NONE,
        report=report,
        summary_page=takes_captures and (forms.summary_page or report is ReportForm.NONE),
        overlay=takes_captures and (forms.overlay or lost_mask),
        key_objects=forms.key_objects and KeyObjectSelectionDocumentStorage not in refused,
    )


def _first_taken(
    ladder: tuple[Form, ...],
    wanted: Form,
    classes: Mapping[Form, str],
    refused: Collection[str],
) -> Form:
    """Find the first rung from the wanted one down that is not refused; the last always stands."""
    rungs = ladder[ladder.index(wanted) :]
    return next((rung for rung in rungs[:-1] if classes[rung] not in refused), rungs[-1])
