"""Phantoms as DICOM."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from ml.phantom import (
    Phantom,
    Scan,
    ct_datasets,
    localizer_dataset,
    make_phantom,
    write_localizer,
    write_series,
)

TYPE_1 = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality"),
    *("FrameOfReferenceUID", "ImageType", "SamplesPerPixel", "PhotometricInterpretation", "Rows"),
    *("Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelSpacing"),
    *("ImageOrientationPatient", "ImagePositionPatient", "RescaleIntercept", "RescaleSlope"),
    *("PixelData", "PatientPosition"),
)
TYPE_2 = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime"),
    *("ReferringPhysicianName", "StudyID", "AccessionNumber", "SeriesNumber", "Manufacturer"),
    *("PositionReferenceIndicator", "InstanceNumber", "SliceThickness", "KVP"),
    "AcquisitionNumber",
)


@pytest.fixture(scope="module")
def tilted() -> Phantom:
    return make_phantom(5, scan=Scan(num_slices=12, matrix=64, gantry_tilt_deg=18.5))


def test_what_is_written_reads_back_as_the_volume(tilted: Phantom, tmp_path: Path) -> None:
    paths = write_series(tilted, tmp_path / "new", seed=5, patient_id="P1")
    images = [pydicom.dcmread(path) for path in paths]
    hu = np.stack([d.pixel_array * d.RescaleSlope + d.RescaleIntercept for d in images])
    np.testing.assert_allclose(hu, tilted.volume.hu, atol=0.51)
    grid = tilted.volume.grid
    np.testing.assert_allclose(
        [d.ImagePositionPatient for d in images], grid.slice_origins_mm, atol=1e-6
    )
    orientation = np.concatenate([grid.row_direction, grid.column_direction])
    np.testing.assert_allclose(images[3].ImageOrientationPatient, orientation, atol=1e-9)
    np.testing.assert_allclose(images[3].PixelSpacing, grid.pixel_spacing_mm)
    assert float(images[3].GantryDetectorTilt) == 18.5
    assert [d.InstanceNumber for d in images] == list(range(1, 13))


def test_all_required_attributes_are_present(tilted: Phantom) -> None:
    for image in (
        ct_datasets(tilted, seed=5, patient_id="P1")[0],
        localizer_dataset(tilted, seed=5, patient_id="P1"),
    ):
        assert [k for k in TYPE_1 if k not in image or image[k].is_empty] == []
        assert [k for k in TYPE_2 if k not in image] == []
        assert image.SOPClassUID == CTImageStorage
        assert image.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert image.BodyPartExamined == "HEAD"


def test_identifiers_follow_from_the_seed(tilted: Phantom) -> None:
    def uids(seed: int, series_number: int = 2) -> list[str]:
        images = ct_datasets(tilted, seed=seed, patient_id="P", series_number=series_number)
        return [images[0].StudyInstanceUID, *(str(d.SOPInstanceUID) for d in images)]

    assert uids(5) == uids(5)
    assert not set(uids(5)) & set(uids(6))
    assert set(uids(5)) & set(uids(5, 3)) == {uids(5)[0]}, "one study, two series"
    assert all(uid.startswith("2.25.") and len(uid) <= 64 for uid in uids(5))


def test_the_localizer_is_another_series_of_the_same_study(tilted: Phantom, tmp_path: Path) -> None:
    scout = pydicom.dcmread(write_localizer(tilted, tmp_path, seed=5, patient_id="P1"))
    image = ct_datasets(tilted, seed=5, patient_id="P1")[0]
    assert scout.ImageType[2] == "LOCALIZER"
    assert scout.StudyInstanceUID == image.StudyInstanceUID
    assert scout.FrameOfReferenceUID == image.FrameOfReferenceUID
    assert scout.SeriesInstanceUID != image.SeriesInstanceUID
    assert scout.pixel_array.max() > 600


def test_the_localizer_shows_the_head_where_the_slices_lie(tilted: Phantom) -> None:
    scout = localizer_dataset(tilted, seed=5, patient_id="P1")
    projection = np.frombuffer(scout.PixelData, "<u2").reshape(scout.Rows, scout.Columns)
    rows, columns = np.nonzero(projection > 600)
    _, y_mm, z_mm = scout.ImagePositionPatient
    grid = tilted.volume.grid
    index = np.argwhere(tilted.volume.hu.mean(axis=2, keepdims=True) > -424).astype(float)
    positions = grid.positions_mm(index)
    assert abs(float(y_mm) + columns.mean() - positions[:, 1].mean()) < 4
    assert abs(float(z_mm) - rows.mean() - positions[:, 2].mean()) < 4


def test_the_header_says_what_it_is_told(tilted: Phantom) -> None:
    image = ct_datasets(
        tilted,
        seed=5,
        patient_id="P-77",
        study_description="CT HEAD TRAUMA",
        acquired=datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC),
    )[0]
    assert image.PatientID == "P-77"
    assert image.PatientName == "SYNTHETIC^HEAD"
    assert image.StudyDescription == "CT HEAD TRAUMA"
    assert (image.StudyDate, image.ContentTime) == ("20310506", "070809")
