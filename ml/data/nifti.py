"""NIfTI images on our grid: no axis is flipped, nothing is resampled.

NIfTI says where a voxel lies by an affine from its index (i, j, k) to RAS millimetres (NIfTI-1
header, methods 2 and 3); ours are (Z, Y, X) arrays in LPS. With k as slice, j as row and i as
column, the change is a transposition and the signs of x and y. The affine may be oblique and its
slices may be sheared, as a tilted gantry makes them; rows and columns must be perpendicular.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from config.errors import UnreadableInputError, UsageError
from ml.readers.dicom import AIR_HU
from ml.volume import Grid, Volume

# Axes: Z slice, Y row, X column

MOST_SHIFT_MM = 0.1
"""So far a voxel of a mask may lie from that of its image: headers round."""
SUFFIXES = (".nii", ".nii.gz")

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_MOST_VOXELS = 1 << 29
_MOST_COSINE = 1e-3
"""Between rows and columns, as in `Grid`."""
_AXIAL = np.cos(np.pi / 4)


class Placed(NamedTuple):
    """A grid, and the axes of the stored array that are its slices, rows and columns."""

    grid: Grid
    order: tuple[int, int, int]


def grid_of_affine(affine_ras: NDArray[np.float64], shape: tuple[int, int, int]) -> Placed:
    """Place a NIfTI array in space.

    Parameters
    ----------
    affine_ras
        Shape (4, 4): from the index (i, j, k) to RAS mm.
    shape
        Number of voxels along i, j and k.

    Returns
    -------
    Placed
        The slices are those of k if they are more axial than not, else the planes whose normal is
        nearest to feet-head. Of the other two axes the first counts columns, the second rows: for
        the usual file, the order is (2, 1, 0).

    Raises
    ------
    UnreadableInputError
        If the affine is singular or not finite, or if rows and columns are not perpendicular.
    """
    lps = _RAS_TO_LPS @ affine_ras
    steps, corner = lps[:3, :3].T, lps[:3, 3]
    lengths_mm = np.linalg.norm(steps, axis=1)
    if not np.isfinite(affine_ras).all() or abs(np.linalg.det(steps)) < 1e-6:
        raise UnreadableInputError("its affine is singular")
    # not the steps themselves: thin slices may slide over each other by more than they advance
    normals = np.cross(np.roll(steps, -1, axis=0), np.roll(steps, -2, axis=0))
    upright = np.abs(normals[:, 2]) / np.linalg.norm(normals, axis=1)
    through = 2 if upright[2] >= _AXIAL else int(upright.argmax())
    across, down = (axis for axis in range(3) if axis != through)
    right = steps[across] / lengths_mm[across]
    below = steps[down] / lengths_mm[down]
    if abs(float(right @ below)) > _MOST_COSINE:
        raise UnreadableInputError("its rows and columns are not perpendicular")
    grid = Grid(
        slice_origins_mm=corner + np.arange(shape[through])[:, None] * steps[through],
        row_direction=right,
        column_direction=below,
        pixel_spacing_mm=(float(lengths_mm[down]), float(lengths_mm[across])),
        rows=shape[down],
        columns=shape[across],
    )
    return Placed(grid, (through, down, across))


def affine_of_grid(grid: Grid) -> NDArray[np.float64]:
    """Affine with which an array (X, Y, Z), the transpose of ours, lies on the grid.

    Returns
    -------
    NDArray
        Shape (4, 4): from (column, row, slice) to RAS mm.

    Raises
    ------
    ValueError
        If the slices are not evenly spaced: no affine describes them.
    """
    origins = grid.slice_origins_mm
    gaps = np.diff(origins, axis=0)
    if len(gaps) and not np.allclose(gaps, gaps[0], atol=1e-3):
        raise ValueError("the slices are not evenly spaced")
    between_rows, between_columns = grid.pixel_spacing_mm
    lps = np.eye(4)
    lps[:3, 0] = grid.row_direction * between_columns
    lps[:3, 1] = grid.column_direction * between_rows
    lps[:3, 2] = gaps[0] if len(gaps) else grid.normal
    lps[:3, 3] = origins[0]
    affine: NDArray[np.float64] = _RAS_TO_LPS @ lps
    return affine


def read_image(path: Path) -> tuple[Volume, tuple[int, int, int]]:
    """Read a CT image.

    Returns
    -------
    tuple
        The volume in Hounsfield units, what lies below air raised to air as `ml.readers.dicom`
        does; and the order of its axes, as in `Placed`.

    Raises
    ------
    UnreadableInputError
        If it cannot be read, has no orientation or fewer than two slices, or is not in Hounsfield
        units.
    """
    values, placed = _read(path)
    hu = values.transpose(placed.order).astype(np.float32)
    if not np.isfinite(hu).all():
        raise UnreadableInputError("it has values that are no numbers")
    if hu.min() >= 0:
        raise UnreadableInputError("no value lies below 0: it is not in Hounsfield units")
    return Volume(np.maximum(hu, np.float32(AIR_HU)), placed.grid), placed.order


def read_labels(
    path: Path, image: Grid, order: tuple[int, int, int], *, follows_image: bool = False
) -> NDArray[Any]:
    """Read a mask that lies on the grid of an image.

    Parameters
    ----------
    path
        Of the mask.
    image, order
        Where the image lies, and the order of its axes.
    follows_image
        Whether its voxels are those of the image one by one, wherever its header says they lie.

    Returns
    -------
    NDArray
        Shape (Z, Y, X): stored values.

    Raises
    ------
    UnreadableInputError
        If it cannot be read, has another shape, or lies elsewhere.
    """
    values, placed = _read(path, oriented=not follows_image)
    stored = tuple(image.shape[order.index(axis)] for axis in range(3))
    if values.shape != stored:
        raise UnreadableInputError(
            f"the mask has {_times(values.shape)} voxels, its image {_times(stored)}"
        )
    if not follows_image:
        away_mm = _distance_mm(placed, image, order)
        if away_mm > MOST_SHIFT_MM:
            raise UnreadableInputError(
                f"the mask lies up to {away_mm:.1f} mm away from its image; if only its header is"
                " wrong, --masks-follow-images takes its voxels as those of the image"
            )
    return values.transpose(order)


def stem_of(path: Path) -> str:
    """Name of a file without ``.nii`` or ``.nii.gz``."""
    return path.name.removesuffix(".gz").removesuffix(".nii")


def nifti_files(folder: Path) -> Mapping[str, Path]:
    """NIfTI files right in a folder by their names without suffix.

    Raises
    ------
    UsageError
        If one name is there twice, compressed and not.
    """
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.name.endswith(SUFFIXES):
            continue
        if files.setdefault(stem_of(path), path) != path:
            raise UsageError(f"{folder.name}/{stem_of(path)} is there as .nii and as .nii.gz")
    return files


def _read(path: Path, *, oriented: bool = True) -> tuple[NDArray[Any], Placed]:
    """Read stored values, shape (I, J, K), scaled as the header says, and where they lie."""
    try:
        import nibabel  # noqa: PLC0415 - only this needs it
    except ImportError as error:
        raise UsageError(
            "reading NIfTI needs nibabel; install midline with the extra 'train'"
        ) from error
    try:
        image = nibabel.load(path)
    except Exception as error:  # nibabel raises anything on foreign bytes
        raise UnreadableInputError(f"{path.name} cannot be read as NIfTI") from error
    if not isinstance(image, nibabel.Nifti1Pair):
        raise UnreadableInputError(f"{path.name} is no NIfTI file")
    shape = tuple(int(size) for size in image.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3 or min(shape) < 2 or np.prod(shape) > _MOST_VOXELS:
        raise UnreadableInputError(f"{path.name} has {_times(shape)} voxels: no stack of slices")
    header = image.header
    if oriented and not (int(header["sform_code"]) or int(header["qform_code"])):
        raise UnreadableInputError(
            f"{path.name} has neither sform nor qform: nobody can tell its left from its right"
        )
    placed = grid_of_affine(np.asarray(image.affine, np.float64), (shape[0], shape[1], shape[2]))
    try:
        values = np.asanyarray(image.dataobj).reshape(shape)
    except Exception as error:  # a file that is cut short, and whatever nibabel makes of it
        raise UnreadableInputError(f"{path.name} is cut short or damaged") from error
    return values, placed


def _distance_mm(placed: Placed, image: Grid, order: tuple[int, int, int]) -> float:
    """Largest distance between corners of the same index, mm."""
    if placed.order != order:
        return float(np.linalg.norm(image.slice_origins_mm[-1] - image.slice_origins_mm[0]))
    ends = [(0.0, size - 1.0) for size in image.shape]
    corners = np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1)
    apart = placed.grid.positions_mm(corners) - image.positions_mm(corners)
    return float(np.linalg.norm(apart, axis=-1).max())


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
