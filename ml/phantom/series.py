"""A phantom as DICOM: single-frame CT images and a localizer, as a scanner would send them.

The objects follow the CT Image IOD (PS3.3 A.3): all attributes of type 1 and 2 are present. They
say in plain words that they are synthetic. Identifiers follow from the seed alone, so that a test
that makes a series twice gets the same instances.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian
from pydicom.valuerep import DSfloat
from scipy import ndimage

from ml.phantom.phantom import Phantom
from ml.volume import Grid

STUDY_DESCRIPTION = "CT HEAD WITHOUT CONTRAST"
ACQUIRED = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
"""The date of a phantom, unless another one is asked for."""

_INTERCEPT_HU = -1024
_IMPLEMENTATION_NAME = "MIDLINE_PHANTOM"
_LOCALIZER_NUMBER = 1
_LOCALIZER_PIXEL_MM = 1.0


def _uid(*parts: object) -> UID:
    """Make a UID from names (PS3.5 B.2: 2.25 and the number of a UUID)."""
    name = "/".join(["midline-phantom", *map(str, parts)])
    return UID(f"2.25.{uuid5(NAMESPACE_URL, name).int}")


@dataclass(frozen=True)
class _Series:
    """What the instances of a series have in common."""

    seed: int
    patient_id: str
    study_description: str
    acquired: datetime
    number: int
    description: str

    def uid(self, *parts: object) -> UID:
        """Make a UID from the seed."""
        return _uid(self.seed, *parts)


def ct_datasets(
    phantom: Phantom,
    *,
    seed: int,
    patient_id: str,
    study_description: str = STUDY_DESCRIPTION,
    acquired: datetime = ACQUIRED,
    series_number: int = 2,
) -> tuple[Dataset, ...]:
    """Make the CT images of a phantom, one for each slice, feet to head.

    Parameters
    ----------
    phantom
        The phantom; values are rounded to whole HU.
    seed
        Source of all UIDs: the same seed and series number give the same UIDs.
    patient_id, study_description, acquired, series_number
        What the header says.

    Returns
    -------
    tuple[Dataset, ...]
        Data sets with file meta information, ready to be written or sent.
    """
    description = f"HEAD {phantom.scan.slice_step_mm:g} MM"
    series = _Series(seed, patient_id, study_description, acquired, series_number, description)
    grid = phantom.volume.grid
    stored = np.rint(phantom.volume.hu - _INTERCEPT_HU).astype("<u2")
    return tuple(
        _ct_image(phantom, series, grid=grid, index=index, pixels=stored[index])
        for index in range(grid.shape[0])
    )


def write_series(
    phantom: Phantom,
    folder: Path,
    *,
    seed: int,
    patient_id: str,
    study_description: str = STUDY_DESCRIPTION,
    acquired: datetime = ACQUIRED,
    series_number: int = 2,
) -> tuple[Path, ...]:
    """Write the CT images of a phantom into a folder, which is made if it is missing.

    The parameters are those of `ct_datasets`.

    Returns
    -------
    tuple[Path, ...]
        One file for each slice, feet to head.
    """
    images = ct_datasets(
        phantom,
        seed=seed,
        patient_id=patient_id,
        study_description=study_description,
        acquired=acquired,
        series_number=series_number,
    )
    return tuple(_write(image, folder) for image in images)


def localizer_dataset(
    phantom: Phantom,
    *,
    seed: int,
    patient_id: str,
    study_description: str = STUDY_DESCRIPTION,
    acquired: datetime = ACQUIRED,
) -> Dataset:
    """Make the lateral localizer of a phantom: a projection, in a series of its own.

    With the same seed it belongs to the study of `ct_datasets`.
    """
    series = _Series(
        seed, patient_id, study_description, acquired, _LOCALIZER_NUMBER, "LATERAL SCOUT"
    )
    projection, grid = _lateral(phantom)
    pixels = np.rint(projection - _INTERCEPT_HU).clip(0, 4095).astype("<u2")
    image = _ct_image(phantom, series, grid=grid, index=0, pixels=pixels)
    image.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    image.RescaleType = "US"
    image.GantryDetectorTilt = None
    # A projection shows the head through and through, in units of its own (US).
    image.SliceThickness = _ds(phantom.scan.field_of_view_mm)
    return image


def write_localizer(
    phantom: Phantom,
    folder: Path,
    *,
    seed: int,
    patient_id: str,
    study_description: str = STUDY_DESCRIPTION,
    acquired: datetime = ACQUIRED,
) -> Path:
    """Write the localizer of a phantom into a folder; see `localizer_dataset`."""
    image = localizer_dataset(
        phantom,
        seed=seed,
        patient_id=patient_id,
        study_description=study_description,
        acquired=acquired,
    )
    return _write(image, folder)


def _write(image: Dataset, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{image.SeriesNumber:02d}-{image.InstanceNumber:04d}.dcm"
    image.save_as(path, enforce_file_format=True)
    return path


def _ct_image(
    phantom: Phantom, series: _Series, *, grid: Grid, index: int, pixels: NDArray[np.uint16]
) -> Dataset:
    image = Dataset()
    for attributes in (
        _study_attributes(series),
        _series_attributes(series),
        _acquisition_attributes(phantom, series, index),
        _plane_attributes(phantom, grid, index),
        _pixel_attributes(pixels),
    ):
        for keyword, value in attributes.items():
            setattr(image, keyword, value)
    image.file_meta = FileMetaDataset()
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.ImplementationClassUID = _uid("implementation")
    image.file_meta.ImplementationVersionName = _IMPLEMENTATION_NAME
    return image


def _study_attributes(series: _Series) -> Mapping[str, object]:
    """Patient (PS3.3 C.7.1.1) and General Study (C.7.2.1)."""
    return {
        "SpecificCharacterSet": "ISO_IR 100",
        "PatientName": "SYNTHETIC^HEAD",
        "PatientID": series.patient_id,
        "PatientBirthDate": "",
        "PatientSex": "O",
        "StudyInstanceUID": series.uid("study"),
        "StudyDate": f"{series.acquired:%Y%m%d}",
        "StudyTime": f"{series.acquired:%H%M%S}",
        "ReferringPhysicianName": "",
        "StudyID": str(series.seed)[:16],
        "AccessionNumber": f"SYN{series.seed % 10**10:010d}",
        "StudyDescription": series.study_description,
    }


def _series_attributes(series: _Series) -> Mapping[str, object]:
    """General Series (C.7.3.1), Frame of Reference (C.7.4.1), General Equipment (C.7.5.1)."""
    return {
        "Modality": "CT",
        "SeriesInstanceUID": series.uid("series", series.number),
        "SeriesNumber": series.number,
        "SeriesDate": f"{series.acquired:%Y%m%d}",
        "SeriesTime": f"{series.acquired:%H%M%S}",
        "SeriesDescription": series.description,
        "BodyPartExamined": "HEAD",
        "PatientPosition": "HFS",
        "FrameOfReferenceUID": series.uid("frame of reference"),
        "PositionReferenceIndicator": "",
        "Manufacturer": "MIDLINE",
        "ManufacturerModelName": "SYNTHETIC HEAD",
        "SoftwareVersions": "1",
    }


def _acquisition_attributes(phantom: Phantom, series: _Series, index: int) -> Mapping[str, object]:
    """General Image (C.7.6.1), CT Image (C.8.2.1) and SOP Common (C.12.1)."""
    sharp = phantom.imaging.cutoff_per_mm > 0.36
    return {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": series.uid("series", series.number, "instance", index + 1),
        "InstanceNumber": index + 1,
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "AcquisitionNumber": 1,
        "AcquisitionDate": f"{series.acquired:%Y%m%d}",
        "AcquisitionTime": f"{series.acquired:%H%M%S}",
        "ContentDate": f"{series.acquired:%Y%m%d}",
        "ContentTime": f"{series.acquired:%H%M%S}",
        "KVP": 120,
        "ConvolutionKernel": "STANDARD" if sharp else "SOFT",
        "GantryDetectorTilt": _ds(phantom.scan.gantry_tilt_deg),
        "ReconstructionDiameter": _ds(phantom.scan.field_of_view_mm),
        "BurnedInAnnotation": "NO",
    }


def _plane_attributes(phantom: Phantom, grid: Grid, index: int) -> Mapping[str, object]:
    """Image Plane (C.7.6.2)."""
    origin_mm = grid.slice_origins_mm[index]
    return {
        "PixelSpacing": [_ds(v) for v in grid.pixel_spacing_mm],
        "ImageOrientationPatient": [_ds(v) for v in (*grid.row_direction, *grid.column_direction)],
        "ImagePositionPatient": [_ds(v) for v in origin_mm],
        "SliceThickness": _ds(phantom.scan.slice_step_mm),
        "SliceLocation": _ds(origin_mm[2]),
    }


def _pixel_attributes(pixels: NDArray[np.uint16]) -> Mapping[str, object]:
    """Image Pixel (C.7.6.3), Modality LUT (C.11.1) and VOI LUT (C.11.2)."""
    return {
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "RescaleIntercept": _INTERCEPT_HU,
        "RescaleSlope": 1,
        "RescaleType": "HU",
        "WindowCenter": 40,
        "WindowWidth": 80,
        "PixelData": pixels.tobytes(),
    }


def _ds(value: float) -> DSfloat:
    """Make a decimal string, at most 16 characters long (PS3.5 6.2)."""
    return DSfloat(float(value), auto_format=True)


def _lateral(phantom: Phantom) -> tuple[NDArray[np.float32], Grid]:
    """Project a phantom to the side: rows run to the back, columns to the feet."""
    grid = phantom.volume.grid
    mean_hu = phantom.volume.hu.mean(axis=2)
    size = int(np.ceil(phantom.scan.field_of_view_mm / _LOCALIZER_PIXEL_MM / 8)) * 8
    middle = np.array([[(grid.shape[0] - 1) / 2, (grid.rows - 1) / 2, (grid.columns - 1) / 2]])
    first_mm = grid.slice_origins_mm[0]
    table_mm = (grid.slice_origins_mm[-1] - first_mm) / (grid.shape[0] - 1)
    centre_mm = grid.positions_mm(np.floor(middle))[0]
    offsets_mm = (np.arange(size) - (size - 1) / 2) * _LOCALIZER_PIXEL_MM
    y, z = centre_mm[1] + offsets_mm[None, :], centre_mm[2] - offsets_mm[:, None]
    # Slices step along z alone, so that y tells the row, and row and z tell the slice.
    down_mm = grid.column_direction * grid.pixel_spacing_mm[0]
    row = (y - first_mm[1]) / down_mm[1]
    index = (z - first_mm[2] - row * down_mm[2]) / table_mm[2]
    where = np.stack(np.broadcast_arrays(index, row))
    projection = ndimage.map_coordinates(mean_hu, where, order=1, cval=-1000.0)
    lateral = Grid(
        slice_origins_mm=np.array([[centre_mm[0], y[0, 0], z[0, 0]]]),
        row_direction=np.array([0.0, 1.0, 0.0]),
        column_direction=np.array([0.0, 0.0, -1.0]),
        pixel_spacing_mm=(_LOCALIZER_PIXEL_MM, _LOCALIZER_PIXEL_MM),
        rows=size,
        columns=size,
    )
    return np.asarray(projection, dtype=np.float32), lateral
