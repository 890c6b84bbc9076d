"""The gates that a series must pass to be analysed: kind, words, pixels, geometry.

Text is evidence, not proof: it excludes what calls itself something else, and whether there is a
brain in the volume is asked of its pixels later (`ml.quality`). Geometry is proof: a stack with a
gap is not analysed. The thresholds are engineering values.
"""

import re
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from config.errors import Reason
from ml.readers.attributes import text_of
from ml.readers.dicom import CT_SOP_CLASSES, hounsfield_fault
from ml.readers.frames import PARALLEL_TOLERANCE, SAME_POSITION_MM, FrameHeader

FEWEST_SLICES = 12
COVERAGE_MM = (90.0, 350.0)
STEP_MM = (0.4, 10.0)
LARGEST_ANGLE_DEG = 35.0
"""Of the slices' normal to the patient's long axis."""
LARGEST_GAP = 1.25
"""Step between two slices, as a multiple of their thickness (or, if it is not told, of the median
step), from which on something between them is missing."""

HEAD = re.compile(
    r"HEAD|BRAIN|SKULL|CRANI|NEURO|CEREBR|SCH(AE|Ä)DEL|KOPF|HIRN|T(E|Ê)TE|ENCEPH|CABEZA|TESTA|STROKE"
)
NOT_PLAIN = re.compile(
    r"\bCTA\b|ANGIO|\bCTP\b|PERFUSION|SINUS|ORBIT|C[- ]?SPINE|CERVICAL|NECK|FACIAL|MAXILLO|"
    r"TEMPORAL BONE|PETROUS|CONTRAST|ENHANCED|\bKM\b|POST ?GAD|VENOGRA|\bCTV\b"
)
WITHOUT_CONTRAST = re.compile(
    r"WITHOUT|W/O|\bWO\b|NON[- ]?|NATIV|\bOHNE\b|\bSANS\b|\bSIN\b|UNENHANCED|NO CONTRAST|\bNC\b"
)
DERIVED_KINDS = {
    "MIP",
    "MPR",
    "SECONDARY",
    "DOSE_INFO",
    "PERFUSION",
    "MONOENERGETIC",
    "SCREEN SAVE",
}


class Rejection(Enum):
    """Why a series is not analysed: what the administrator reads, and the reason on the wire."""

    UNREADABLE = ("Its headers cannot be read.", Reason.FORMAT)
    OWN_RESULT = ("It is a result of this node.", Reason.TYPES)
    NOT_CT = ("It is no CT image.", Reason.TYPES)
    LOCALIZER = ("It is a localizer.", Reason.TYPES)
    DERIVED = ("It was derived from other images.", Reason.TYPES)
    NOT_HU = ("Its pixels are not in Hounsfield units.", Reason.FORMAT)
    NOT_A_HEAD = ("It does not call itself a head.", Reason.TYPES)
    NOT_PLAIN = ("It has contrast, or another purpose than the brain.", Reason.TYPES)
    NO_GEOMETRY = ("Positions, orientation or frame of reference are missing.", Reason.FORMAT)
    MIXED = ("Its images do not form one stack.", Reason.FORMAT)
    NOT_AXIAL = ("Its slices are not nearly axial.", Reason.TYPES)
    TOO_FEW_SLICES = ("It has too few slices.", Reason.INCOMPLETE)
    DUPLICATE_POSITIONS = ("Several slices lie at the same position.", Reason.FORMAT)
    MISSING_SLICES = ("Slices are missing.", Reason.INCOMPLETE)
    COVERAGE = ("It does not cover a head.", Reason.INCOMPLETE)
    SPACING = ("Its slices are too near or too far from each other.", Reason.TYPES)

    @property
    def sentence(self) -> str:
        """For people."""
        return self.value[0]

    @property
    def reason(self) -> Reason:
        """For the report."""
        return self.value[1]


@dataclass(frozen=True, eq=False)
class Placement:
    """Where the frames of a series lie; N frames in the order of the series.

    Attributes
    ----------
    positions_mm
        Shape (N, 3), LPS mm.
    orientations
        Shape (N, 6): row and column directions.
    pixel_spacings_mm
        Shape (N, 2), mm.
    thickness_mm
        Shape (N,), mm; NaN where it is not told.
    """

    positions_mm: NDArray[np.float64]
    orientations: NDArray[np.float64]
    pixel_spacings_mm: NDArray[np.float64]
    thickness_mm: NDArray[np.float64]

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit normal of the first frame, shape (3,)."""
        normal: NDArray[np.float64] = np.cross(self.orientations[0, :3], self.orientations[0, 3:])
        return normal

    @property
    def along_mm(self) -> NDArray[np.float64]:
        """Positions along the normal, shape (N,), mm."""
        along_mm: NDArray[np.float64] = self.positions_mm @ self.normal
        return along_mm

    @property
    def steps_mm(self) -> NDArray[np.float64]:
        """Steps from slice to slice in the order along the normal, shape (N - 1,), mm."""
        steps_mm: NDArray[np.float64] = np.diff(np.sort(self.along_mm))
        return steps_mm


@dataclass(frozen=True, eq=False)
class Candidate:
    """A series while it is judged: files, headers, and what each frame says of itself."""

    files: tuple[Path, ...]
    headers: tuple[Dataset, ...]
    frames: tuple[FrameHeader, ...]

    @property
    def first(self) -> Dataset:
        """Header of its first image."""
        return self.headers[0]

    @cached_property
    def placement(self) -> Placement | None:
        """Where its frames lie; None if one of them does not say."""
        positions, orientations, spacings = [], [], []
        for frame in self.frames:
            place = (frame.position_mm, frame.orientation, frame.pixel_spacing_mm)
            if place[0] is None or place[1] is None or place[2] is None:
                return None
            positions.append(place[0])
            orientations.append(place[1])
            spacings.append(place[2])
        thickness = [frame.slice_thickness_mm or np.nan for frame in self.frames]
        return Placement(
            np.array(positions), np.array(orientations), np.array(spacings), np.array(thickness)
        )


Verdict = tuple[Rejection, str] | None
"""Why a series is not analysed, with a detail; None if nothing speaks against it."""


def judge(candidate: Candidate) -> Verdict:
    """Name what excludes a series, or None: kind before words before pixels before geometry."""
    gates = (_by_kind, _by_words, _by_pixels, _by_unity, _by_orientation, _by_slices)
    return next((verdict for gate in gates if (verdict := gate(candidate)) is not None), None)


def _by_kind(candidate: Candidate) -> Verdict:
    for header in candidate.headers:
        if text_of(header, "Modality") in ("SEG", "SR", "KO", "OT"):
            return Rejection.OWN_RESULT, ""
        if text_of(header, "SOPClassUID") not in CT_SOP_CLASSES:
            return Rejection.NOT_CT, ""
        if text_of(header, "BurnedInAnnotation") == "YES":
            return Rejection.DERIVED, "with burned-in annotation"
    for frame in candidate.frames:
        kinds = {kind.upper() for kind in frame.image_type}
        if kinds & {"LOCALIZER", "SCOUT"}:
            return Rejection.LOCALIZER, ""
        if kinds & DERIVED_KINDS or ("DERIVED" in kinds and "AXIAL" not in kinds):
            return Rejection.DERIVED, ""
    return None


def _by_words(candidate: Candidate) -> Verdict:
    """Judge what the series calls itself; where nothing is said, its pixels will tell."""
    header = candidate.first
    own = " ".join(text_of(header, k) for k in ("SeriesDescription", "ProtocolName")).upper()
    around = " ".join(text_of(header, k) for k in ("StudyDescription", "BodyPartExamined")).upper()
    if (own + around).strip() and not HEAD.search(f"{own} {around}"):
        return Rejection.NOT_A_HEAD, ""
    if NOT_PLAIN.search(own) and not WITHOUT_CONTRAST.search(own):
        return Rejection.NOT_PLAIN, ""
    agents = {text_of(each, "ContrastBolusAgent").upper() for each in candidate.headers}
    if agents - {"", "NONE", "NO", "N"}:
        return Rejection.NOT_PLAIN, "with a contrast agent"
    return None


def _by_pixels(candidate: Candidate) -> Verdict:
    for frame in candidate.frames:
        fault = hounsfield_fault(candidate.headers[frame.reference.dataset_index], frame)
        if fault:
            return Rejection.NOT_HU, fault
    if candidate.placement is None:
        return Rejection.NO_GEOMETRY, ""
    if not all(text_of(header, "FrameOfReferenceUID") for header in candidate.headers):
        return Rejection.NO_GEOMETRY, "no frame of reference"
    return None


def _by_unity(candidate: Candidate) -> Verdict:
    """Judge whether the images belong together: one patient, one stack, one way to reconstruct."""
    for keyword in ("FrameOfReferenceUID", "PatientID", "IssuerOfPatientID", "StudyInstanceUID"):
        if len({text_of(header, keyword) for header in candidate.headers}) > 1:
            return Rejection.MIXED, f"by {keyword}"
    placement = candidate.placement
    if placement is None:
        return Rejection.NO_GEOMETRY, ""
    orientations, spacings_mm = placement.orientations, placement.pixel_spacings_mm
    unlike = {
        "matrix": len({(frame.rows, frame.columns) for frame in candidate.frames}) > 1,
        "kernel": len({frame.convolution_kernel for frame in candidate.frames}) > 1,
        "orientation": not np.allclose(orientations, orientations[0], atol=PARALLEL_TOLERANCE),
        "pixel spacing": not np.allclose(spacings_mm, spacings_mm[0], rtol=PARALLEL_TOLERANCE),
    }
    return next(((Rejection.MIXED, f"by {name}") for name, is_so in unlike.items() if is_so), None)


def _by_orientation(candidate: Candidate) -> Verdict:
    placement = candidate.placement
    if placement is None or abs(placement.normal[2]) < np.cos(np.deg2rad(LARGEST_ANGLE_DEG)):
        return Rejection.NOT_AXIAL, ""
    return None


def _by_slices(candidate: Candidate) -> Verdict:
    """Judge whether the slices cover a head without a gap."""
    placement = candidate.placement
    if placement is None or len(placement.positions_mm) < FEWEST_SLICES:
        return Rejection.TOO_FEW_SLICES, f"{len(candidate.frames)}, {FEWEST_SLICES} are needed"
    steps_mm = placement.steps_mm
    if steps_mm.min() < SAME_POSITION_MM:
        return Rejection.DUPLICATE_POSITIONS, f"{int((steps_mm < SAME_POSITION_MM).sum())} times"
    median_mm = float(np.median(steps_mm))
    if not STEP_MM[0] <= median_mm <= STEP_MM[1]:
        return Rejection.SPACING, f"{median_mm:.2f} mm"
    gaps = _count_gaps(steps_mm, placement.thickness_mm[np.argsort(placement.along_mm)])
    if gaps:
        return Rejection.MISSING_SLICES, f"{gaps} gaps"
    coverage_mm = float(np.ptp(placement.along_mm))
    if not COVERAGE_MM[0] <= coverage_mm <= COVERAGE_MM[1]:
        return Rejection.COVERAGE, f"{coverage_mm:.0f} mm"
    return None


def _count_gaps(steps_mm: NDArray[np.float64], thickness_mm: NDArray[np.float64]) -> int:
    """Count the steps that are longer than what the two slices cover.

    A series whose slices get thicker on the way has longer steps there and no gap. Slices that are
    all thinner than their steps (a protocol with spaces between them) are measured by the median.
    """
    covered_mm = (thickness_mm[:-1] + thickness_mm[1:]) / 2
    median_mm = np.median(steps_mm)
    expected_mm = np.where(np.isnan(covered_mm), median_mm, covered_mm)
    if np.median(expected_mm) * LARGEST_GAP < median_mm:
        expected_mm = np.full_like(steps_mm, median_mm)
    return int((steps_mm > LARGEST_GAP * expected_mm).sum())
