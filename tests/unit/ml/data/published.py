"""Tiny folders in the published layouts, built here; no file of any collection is used."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from ml.data.nifti import affine_of_grid
from ml.volume import Grid, Subtype, Volume

SHAPE = (4, 6, 5)
"""Slices, rows and columns: all different, so that no axis can be taken for another."""
TILT_DEG = 15.0

CT_ICH_COLUMNS = (
    "PatientNumber",
    "SliceNumber",
    "Intraventricular",
    "Intraparenchymal",
    "Subarachnoid",
    "Epidural",
    "Subdural",
    "No_Hemorrhage",
    "Fracture_Yes_No",
)


def tilted_grid(shape: tuple[int, int, int] = SHAPE) -> Grid:
    """Sheared stack as a tilted gantry makes it; nothing about it is symmetric."""
    tilt = np.deg2rad(TILT_DEG)
    num_slices, rows, columns = shape
    origins = np.array([-3.0, -7.0, 11.0]) + np.arange(num_slices)[:, None] * [0.0, 0.0, 5.0]
    return Grid(
        slice_origins_mm=origins,
        row_direction=np.array([1.0, 0.0, 0.0]),
        column_direction=np.array([0.0, np.cos(tilt), np.sin(tilt)]),
        pixel_spacing_mm=(2.0, 3.0),
        rows=rows,
        columns=columns,
    )


def scan(seed: int = 0, grid: Grid | None = None) -> Volume:
    """Noise in Hounsfield units, whole numbers, with air in it."""
    grid = grid or tilted_grid()
    hu = np.random.default_rng(seed).integers(-200, 100, grid.shape).astype(np.float32)
    hu[0, 0, 0] = -1000
    return Volume(hu, grid)


def write_nifti(
    path: Path, values: NDArray[Any], grid: Grid, *, shift_mm: float = 0.0, dtype: str = "int16"
) -> None:
    """Write an array (Z, Y, X) as NIfTI on its grid, or beside it."""
    affine = affine_of_grid(grid)
    affine[0, 3] += shift_mm
    image = nibabel.Nifti1Image(values.T.astype(dtype), affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image, path)


def write_pair(image: Path, mask: Path | None, labels: NDArray[Any], *, seed: int = 0) -> None:
    """Write a scan, and a mask on its grid."""
    volume = scan(seed)
    write_nifti(image, volume.hu, volume.grid)
    if mask is not None:
        write_nifti(mask, labels, volume.grid, dtype="uint8")


def blob(value: int, *, where: tuple[int, int, int] = (2, 4, 1)) -> NDArray[np.uint8]:
    """Mask with one voxel; none if the value is 0."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[where] = value
    return labels


def ct_ich(source: Path, patients: Mapping[int, NDArray[np.uint8]], subtype: str) -> None:
    """CT-ICH: slices with blood are labelled with one subtype."""
    source.mkdir(parents=True, exist_ok=True)
    rows: list[Sequence[object]] = []
    for patient, labels in patients.items():
        name = f"{patient:03d}.nii"
        write_pair(source / "ct_scans" / name, source / "masks" / name, labels, seed=patient)
        for number, bleeds in enumerate(labels.any(axis=(1, 2)), start=1):
            said = dict.fromkeys(CT_ICH_COLUMNS, 0)
            said |= {"PatientNumber": patient, "SliceNumber": number}
            said[subtype if bleeds else "No_Hemorrhage"] = 1
            rows.append(tuple(said.values()))
    write_table(source / "hemorrhage_diagnosis_raw_ct.csv", CT_ICH_COLUMNS, rows)
    (source / "Patient_demographics.csv").write_text("Patient Number,Age\n49,30\n")


def bhsd(source: Path, names: Mapping[str, NDArray[np.uint8]]) -> None:
    """Write BHSD as its archive unpacks."""
    for seed, (name, labels) in enumerate(names.items()):
        file = f"{name}.nii.gz"
        folder = source / "label_192"
        write_pair(folder / "images" / file, folder / "ground truths" / file, labels, seed=seed)


def nifti_folders(source: Path, names: Mapping[str, NDArray[np.uint8]]) -> None:
    """Write plain pairs in two folders."""
    for seed, (name, labels) in enumerate(names.items()):
        file = f"{name}.nii.gz"
        write_pair(source / "images" / file, source / "labels" / file, labels, seed=seed)


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


def everywhere(grid: Grid) -> NDArray[np.float64]:
    """Index of every voxel, shape (Z, Y, X, 3)."""
    return np.stack(np.indices(grid.shape), axis=-1).astype(np.float64)


ALL_SUBTYPES = tuple(Subtype)
