"""Small CT series of any geometry, masks on them, and what the result objects are made of."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from uuid import NAMESPACE_URL, uuid5

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage

from config.errors import Reason
from ml.familiarity import Familiarity, Unusual
from ml.findings import Finding, Outline, Side
from ml.midline_shift import MidlineShift
from ml.readers.dicom import Series
from ml.readers.frames import FrameReference
from ml.volume import Grid, Mask, Subtype, Volume
from node.results.identity import (
    ModelIdentity,
    NodeIdentity,
    ResultContext,
    model_device_uid,
)
from node.results.outcomes import StudyResult

CREATED = datetime(2031, 3, 4, 5, 6, 7, tzinfo=UTC)
NODE = NodeIdentity("MIDLINE", "Midline project", "Midline", "0.1.0", "NODE-1")
MODEL = ModelIdentity("midline-ich", "0.1.0", "Midline project", model_device_uid("ab", "cd"))

AIR_HU, BONE_HU, BRAIN_HU, BLOOD_HU = -1000, 1000, 35, 65

FAMILIAR = Familiarity(distance=0.612, limit=1.25, nearer_percent=48.0)
UNFAMILIAR = Familiarity(
    distance=2.375,
    limit=1.25,
    nearer_percent=100.0,
    unusual=(
        Unusual("noise_hu", 9.13, lowest=1.5, highest=6.0, deviations=4.2),
        Unusual("mirror_likeness", 0.4, lowest=0.2, highest=0.7, deviations=-1.1),
    ),
)

BLOCKS: Mapping[Subtype, tuple[slice, slice, slice]] = MappingProxyType(
    {
        Subtype.IPH: (slice(3, 7), slice(8, 16), slice(22, 30)),
        Subtype.IVH: (slice(5, 7), slice(20, 24), slice(14, 17)),
        Subtype.EDH: (slice(4, 6), slice(10, 13), slice(8, 11)),
        Subtype.SDH: (slice(2, 9), slice(26, 31), slice(18, 24)),
        Subtype.SAH: (slice(8, 10), slice(17, 19), slice(24, 32)),
    }
)
"""A block of each subtype: slices, rows, columns."""


def uid(*parts: object) -> str:
    """UID that follows from names."""
    return f"2.25.{uuid5(NAMESPACE_URL, '/'.join(map(str, parts))).int}"


def make_grid(
    *,
    heights_mm: Sequence[float] = tuple(range(0, 60, 5)),
    tilt_deg: float = 0.0,
    mirrored: bool = False,
    size: tuple[int, int] = (40, 44),
) -> Grid:
    """Stack of axial slices; tilted ones are sheared, as a tilted gantry makes them.

    Parameters
    ----------
    heights_mm
        Position of each slice along the table, rising or falling.
    tilt_deg
        Turn of the slices about the left-right axis.
    mirrored
        Whether columns rise towards the patient's right instead of left.
    size
        Rows and columns.
    """
    tilt = np.deg2rad(tilt_deg)
    right = np.array([-1.0 if mirrored else 1.0, 0.0, 0.0])
    down = np.array([0.0, np.cos(tilt), np.sin(tilt)])
    corner = -2.0 * (right * size[1] + down * size[0])
    heights = np.array(heights_mm, dtype=np.float64)
    origins = corner + heights[:, None] * np.array([0.0, 0.0, 1.0])
    return Grid(np.round(origins, 4), right, np.round(down, 6), (3.0, 3.5), *size)


def make_series(grid: Grid, *, multi_frame: bool = False, num_spare_frames: int = 0) -> Series:
    """Series of a head-like disc on a grid.

    Parameters
    ----------
    grid
        Where its slices lie.
    multi_frame
        Whether it is one Enhanced CT image instead of one CT image for each slice.
    num_spare_frames
        Frames of that image that come first and are not in the volume.
    """
    num_slices = grid.shape[0]
    volume = Volume(_head_hu(grid), grid)
    if multi_frame:
        headers = (_enhanced_header(grid, num_spare_frames),)
        frames = tuple(FrameReference(0, num_spare_frames + k + 1) for k in range(num_slices))
    else:
        headers = tuple(_ct_header(grid, k) for k in range(num_slices))
        frames = tuple(FrameReference(k, 1) for k in range(num_slices))
    return Series(volume, headers, frames, pixel_digest="00", lossy=False)


def _head_hu(grid: Grid) -> NDArray[np.float32]:
    num_slices, rows, columns = grid.shape
    y = np.linspace(-1.2, 1.2, rows)[:, None]
    x = np.linspace(-1.4, 1.4, columns)[None, :]
    radius = np.hypot(y, x)
    disc = np.select([radius < 0.9, radius < 1], [BRAIN_HU, BONE_HU], AIR_HU)
    return np.repeat(disc[None], num_slices, axis=0).astype(np.float32)


def study_attributes() -> Dataset:
    """Patient, study, frame of reference and equipment of every header."""
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 100"
    header.PatientName, header.PatientID = "Synthetic^Müller", "SYN-1"
    header.IssuerOfPatientID = "SYNTHETIC"
    header.PatientBirthDate, header.PatientSex, header.PatientAge = "19500101", "O", "076Y"
    header.StudyInstanceUID = uid("study")
    header.StudyDate, header.StudyTime, header.StudyID = "20310304", "040000", "1"
    header.AccessionNumber, header.ReferringPhysicianName = "A1", ""
    header.StudyDescription = "CT head without contrast"
    header.Modality, header.Manufacturer = "CT", "Synthetic"
    header.ManufacturerModelName, header.SoftwareVersions = "Discs", "1"
    header.DeviceSerialNumber = "0"
    header.SeriesInstanceUID, header.SeriesNumber = uid("series"), 2
    header.FrameOfReferenceUID, header.PositionReferenceIndicator = uid("frame"), ""
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 12, 11
    header.PixelRepresentation = 0
    return header


def _ct_header(grid: Grid, index: int) -> Dataset:
    header = study_attributes()
    header.SOPClassUID = CTImageStorage
    header.SOPInstanceUID = uid("image", index)
    header.InstanceNumber = 1 + (index * 7) % 12  # the order of the files says nothing
    header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    header.SliceThickness = "5"
    header.Rows, header.Columns = grid.rows, grid.columns
    header.PixelSpacing = list(grid.pixel_spacing_mm)
    header.ImageOrientationPatient = _orientation(grid)
    header.ImagePositionPatient = [float(v) for v in grid.slice_origins_mm[index]]
    return header


def _orientation(grid: Grid) -> list[float]:
    return [float(v) for v in (*grid.row_direction, *grid.column_direction)]


def _enhanced_header(grid: Grid, num_spare_frames: int) -> Dataset:
    header = study_attributes()
    header.SOPClassUID = EnhancedCTImageStorage
    header.SOPInstanceUID = uid("image")
    header.InstanceNumber = 1
    header.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    header.Rows, header.Columns = grid.rows, grid.columns
    header.NumberOfFrames = num_spare_frames + grid.shape[0]
    measures, orientation, shared = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = list(grid.pixel_spacing_mm), "5"
    orientation.ImageOrientationPatient = _orientation(grid)
    shared.PixelMeasuresSequence = [measures]
    shared.PlaneOrientationSequence = [orientation]
    header.SharedFunctionalGroupsSequence = [shared]
    spare = [[0.0, 0.0, 900.0 + k] for k in range(num_spare_frames)]
    header.PerFrameFunctionalGroupsSequence = [
        _frame_groups([float(v) for v in position]) for position in (*spare, *grid.slice_origins_mm)
    ]
    return header


def _frame_groups(position_mm: list[float]) -> Dataset:
    position, groups = Dataset(), Dataset()
    position.ImagePositionPatient = position_mm
    groups.PlanePositionSequence = [position]
    return groups


def _block(subtype: Subtype, scale: int) -> tuple[slice, slice, slice]:
    slices, rows, columns = BLOCKS[subtype]
    return (
        slices,
        slice(rows.start * scale, rows.stop * scale),
        slice(columns.start * scale, columns.stop * scale),
    )


def make_mask(grid: Grid, subtypes: Sequence[Subtype] = tuple(Subtype), *, scale: int = 1) -> Mask:
    """Mask with one block of each subtype asked for, `scale` times as large in a slice."""
    labels = np.zeros(grid.shape, np.uint8)
    for subtype in subtypes:
        labels[_block(subtype, scale)] = subtype
    return Mask(labels, grid)


def make_finding(
    mask: Mask, subtype: Subtype, *, side: Side | None = None, scale: int = 1
) -> Finding:
    """Measure a block; that of SDH gets a further lesion."""
    slices, rows, columns = _block(subtype, scale)
    (left, right), (top, bottom) = (columns.start, columns.stop), (rows.start, rows.stop)
    points = np.array(  # without one corner, so that it differs from the box around it
        [
            (left, top),
            (right, top),
            (right, bottom),
            (left + 1, bottom),
            (left, bottom - 1),
            (left, top),
        ],
        dtype=np.float64,
    )
    labels = [f"ICH-{subtype.name}", f"ICH-{subtype.name}-2"][: 1 + (subtype is Subtype.SDH)]
    return Finding(
        subtype=subtype,
        volume_ml=mask.volume_ml(subtype),
        outlines=tuple(
            Outline(label, slices.start + k, points, 123.45) for k, label in enumerate(labels)
        ),
        mean_hu=62.34,
        max_diameter_mm=21.06,
        side=side,
        certainty_percent=93.21,
    )


def make_findings(
    mask: Mask, subtypes: Sequence[Subtype], *, side: Side | None = None, scale: int = 1
) -> list[Finding]:
    """Measure the blocks of some subtypes."""
    return [make_finding(mask, subtype, side=side, scale=scale) for subtype in subtypes]


def make_midline_shift(side: Side = Side.LEFT) -> MidlineShift:
    """Make a shift of 5.25 mm on the sixth slice."""
    return MidlineShift(5.25, side, 5, np.array([[22.0, 18.0], [23.5, 18.25]]))


def make_context(
    *,
    generation: int = 1,
    node: NodeIdentity = NODE,
    created: datetime = CREATED,
    study_instance_uid: str = uid("study"),
    series_instance_uid: str = uid("series"),
) -> ResultContext:
    """Context of a result, unless said otherwise on the series of `make_series`."""
    return ResultContext(
        node, MODEL, study_instance_uid, series_instance_uid, "digest", created, generation
    )


def all_results(mask: Mask) -> dict[str, StudyResult]:
    """One result of every kind; those with findings are about `mask`, which has all subtypes."""
    every = make_findings(mask, tuple(Subtype), side=Side.LEFT)
    some = make_findings(mask, (Subtype.SDH,), side=Side.BOTH)
    return {
        "positive": StudyResult.positive(
            every, num_images=12, case_score_percent=97.4, familiarity=FAMILIAR
        ),
        "negative": StudyResult.negative(
            num_images=12, case_score_percent=3.2, familiarity=FAMILIAR
        ),
        "partly-positive": StudyResult.partial(
            Reason.INCOMPLETE,
            some,
            num_images=9,
            detail="3 slices are missing",
            familiarity=UNFAMILIAR,
        ),
        "borderline": StudyResult.partial(
            Reason.BORDERLINE, num_images=12, case_score_percent=41.0
        ),
        "failed": StudyResult.failed(Reason.FORMAT),
        "not-attempted": StudyResult.not_attempted(Reason.TYPES),
    }
