"""Valid CT series of any geometry, small and quick to make; the same arguments, the same bytes."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import highdicom
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from ml.volume import Grid, Volume
from tests.support.heads import Head

AXIAL = ("ORIGINAL", "PRIMARY", "AXIAL")
SUPINE = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
"""Row and column direction of a patient on the back, head first."""
PRONE = ((-1.0, 0.0, 0.0), (0.0, -1.0, 0.0))
SEEN_FROM_ABOVE = ((-1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
"""The normal points to the feet."""
CORONAL = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0))


def uid(*parts: object) -> str:
    """UID that follows from names."""
    return f"2.25.{uuid5(NAMESPACE_URL, '/'.join(map(str, parts))).int}"


def even_heights(num_slices: int = 36, spacing_mm: float = 5.0) -> NDArray[np.float64]:
    """Positions of evenly spaced slices along the table, around 0, mm."""
    return (np.arange(num_slices, dtype=np.float64) - (num_slices - 1) / 2) * spacing_mm


def stack(
    heights_mm: Sequence[float] | NDArray[np.float64] | None = None,
    *,
    directions: tuple[Sequence[float], Sequence[float]] = SUPINE,
    tilt_deg: float = 0.0,
    size: int = 64,
    pixel_mm: float = 3.6,
) -> Grid:
    """Build a grid of square slices around the origin.

    Parameters
    ----------
    heights_mm
        Position of each slice along the table; `even_heights` if None.
    directions
        Of rows and columns, before the gantry is tilted.
    tilt_deg
        Turn of the slices about the left-right axis; they still advance along the table.
    """
    at_mm = even_heights() if heights_mm is None else np.asarray(heights_mm, np.float64)
    tilt = np.deg2rad(tilt_deg)
    turn = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    row, column = (turn @ np.array(direction, np.float64) for direction in directions)
    along = np.array([0, 1.0, 0]) if directions is CORONAL else np.array([0, 0, 1.0])
    corner = -(size - 1) / 2 * pixel_mm * (row + column)
    return Grid(corner + at_mm[:, None] * along, row, column, (pixel_mm, pixel_mm), size, size)


def head_series(grid: Grid | None = None, **options: Any) -> list[Dataset]:
    """Scan a head on a grid, or on that of `stack`; options and attributes of `series_of`."""
    return series_of(Head(holder=False).volume(grid or stack()), **options)


def series_of(
    volume: Volume,
    *,
    name: str = "a",
    slope: float = 1.0,
    intercept: float = -1024.0,
    thickness_mm: float | Sequence[float] | None = None,
    **attributes: object,
) -> list[Dataset]:
    """Write a volume as single-frame CT images, one for each slice, in its order.

    Parameters
    ----------
    volume
        In Hounsfield units.
    name
        Of the series; all UIDs follow from it. Series of one study share what precedes a slash.
    slope, intercept
        Stored values are whole numbers, unsigned 16 bits.
    thickness_mm
        Slice Thickness of all or of each slice; the median step if None.
    attributes
        Set on every image, by keyword; None leaves an attribute out.
    """
    grid = volume.grid
    steps = grid.slice_steps_mm if len(volume.hu) > 1 else np.array([5.0])
    thickness = np.broadcast_to(
        float(np.median(steps)) if thickness_mm is None else np.asarray(thickness_mm),
        len(volume.hu),
    )
    stored = np.clip(np.rint((volume.hu - intercept) / slope), 0, 65535).astype("<u2")
    images = []
    for index, (pixels, origin) in enumerate(zip(stored, grid.slice_origins_mm, strict=True)):
        image = _common(name)
        image.SOPInstanceUID = uid(name, "image", index)
        image.InstanceNumber = index + 1
        image.ImagePositionPatient = [f"{value:.6f}" for value in origin]
        image.ImageOrientationPatient = [
            f"{value:.6f}" for value in (*grid.row_direction, *grid.column_direction)
        ]
        image.PixelSpacing = [f"{value:.6f}" for value in grid.pixel_spacing_mm]
        image.SliceThickness = f"{thickness[index]:.4f}"
        image.Rows, image.Columns = pixels.shape
        image.RescaleSlope, image.RescaleIntercept = str(slope), str(intercept)
        image.PixelData = pixels.tobytes()
        for keyword, value in attributes.items():
            if value is None:
                del image[keyword]
            else:
                setattr(image, keyword, value)
        image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        images.append(image)
    return images


def legacy_converted(images: Sequence[Dataset], *, name: str = "converted") -> Dataset:
    """Convert single-frame images to one Legacy Converted Enhanced CT image."""
    return highdicom.legacy.LegacyConvertedEnhancedCTImage(
        list(images),
        series_instance_uid=uid(name, "series"),
        series_number=7,
        sop_instance_uid=uid(name, "image"),
        instance_number=1,
    )


def write(images: Iterable[Dataset], folder: Path) -> list[Path]:
    """Write images as files, numbered in their order; give back their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for index, image in enumerate(images):
        file = folder / f"{index:04}.dcm"
        dcmwrite(file, image, enforce_file_format=True)
        files.append(file)
    return files


def _common(name: str) -> Dataset:
    study = name.split("/", maxsplit=1)[0]
    image = Dataset()
    image.SpecificCharacterSet = "ISO_IR 192"
    image.ImageType = list(AXIAL)
    image.SOPClassUID = CTImageStorage
    image.StudyDate = image.SeriesDate = image.AcquisitionDate = image.ContentDate = "20310304"
    image.StudyTime = image.SeriesTime = image.AcquisitionTime = image.ContentTime = "050607"
    image.AccessionNumber, image.StudyID = "A1", "1"
    image.Modality, image.Manufacturer, image.ManufacturerModelName = (
        "CT",
        "Synthetic",
        "Ellipsoids",
    )
    image.DeviceSerialNumber, image.SoftwareVersions = "0", "1"
    image.StudyDescription, image.SeriesDescription = "CT head without contrast", "Brain 5 mm"
    image.ReferringPhysicianName = ""
    image.PatientName, image.PatientID = f"Synthetic^{study}", f"SYN-{study}"
    image.PatientBirthDate, image.PatientSex = "19500101", "O"
    image.BodyPartExamined, image.KVP, image.ConvolutionKernel = "HEAD", "120", "H30s"
    image.GantryDetectorTilt, image.PatientPosition = "0", "HFS"
    image.StudyInstanceUID = uid(study, "study")
    image.SeriesInstanceUID = uid(name, "series")
    image.FrameOfReferenceUID = uid(name, "frame of reference")
    image.PositionReferenceIndicator = ""
    image.SeriesNumber, image.AcquisitionNumber = 2, 1
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
    image.PixelRepresentation = 0
    image.RescaleType = "HU"
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return image
