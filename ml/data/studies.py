"""One study of a data set: a volume on its source grid, and what is known about it.

A file is a ``.npz`` without pickled objects, written whole or not at all.
"""

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.errors import UnreadableInputError
from ml.volume import NUM_CLASSES, Grid, Mask, Subtype, Volume

# Axes: Z slice, Y row, X column, C class (0 any haemorrhage, else the value of a subtype)

_FORMAT = 1
# what numpy and zipfile raise on foreign bytes
_FOREIGN_FAULTS = (
    EOFError,
    KeyError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


class LabelKind(StrEnum):
    """The most that is known about a study."""

    SUBTYPES = "subtype mask"
    """Which voxels bleed, and of which subtype."""
    BINARY = "binary mask"
    """Which voxels bleed, but not of which subtype."""
    SLICES = "slice labels"
    """Which slices show which subtypes."""
    NONE = "none"


@dataclass(frozen=True, eq=False)
class Truth:
    """What people say about a study; nothing here pretends to know more than they said.

    Attributes
    ----------
    mask
        Subtype of each voxel.
    bleed
        Shape (Z, Y, X): which voxels bleed, where no subtype was drawn.
    slices
        Shape (Z, C): column 0, whether a slice shows any haemorrhage; the column of a subtype's
        value, whether it shows that subtype.
    """

    mask: Mask | None = None
    bleed: NDArray[np.bool_] | None = None
    slices: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        """Refuse two masks, and slice labels of another form."""
        if self.mask is not None and self.bleed is not None:
            raise ValueError("a study has a mask with subtypes or one without, not both")
        if self.slices is not None and self.slices.shape[1:] != (NUM_CLASSES,):
            raise ValueError(f"slice labels have shape {self.slices.shape}, not (Z, {NUM_CLASSES})")

    @property
    def kind(self) -> LabelKind:
        """The most that is known."""
        if self.mask is not None:
            return LabelKind.SUBTYPES
        if self.bleed is not None:
            return LabelKind.BINARY
        return LabelKind.NONE if self.slices is None else LabelKind.SLICES

    @property
    def blood(self) -> NDArray[np.bool_] | None:
        """Which voxels bleed, whatever the subtype, shape (Z, Y, X); None without a mask."""
        return self.bleed if self.mask is None else self.mask.labels > 0

    @property
    def bleeds(self) -> bool | None:
        """Whether the study shows haemorrhage anywhere; None if nobody said."""
        said = [
            bool(known.any())
            for known in (self.blood, None if self.slices is None else self.slices[:, 0])
            if known is not None
        ]
        return any(said) if said else None

    @property
    def subtypes(self) -> tuple[Subtype, ...]:
        """The subtypes that the mask or the slice labels name."""
        named = set()
        if self.mask is not None:
            named |= {Subtype(int(value)) for value in np.unique(self.mask.labels) if value}
        if self.slices is not None:
            named |= {subtype for subtype in Subtype if self.slices[:, subtype].any()}
        return tuple(sorted(named))


@dataclass(frozen=True, eq=False)
class Study:
    """A study of a data set.

    Attributes
    ----------
    study_id, patient_id
        Hashes (`ml.data.identity`), or the names of phantoms.
    volume
        In Hounsfield units, on the grid of the source.
    truth
        What is known about it, on the same grid.
    slice_thickness_mm
        Nominal, as the source says; None if it does not.
    """

    study_id: str
    patient_id: str
    volume: Volume
    truth: Truth = field(default_factory=Truth)
    slice_thickness_mm: float | None = None

    def __post_init__(self) -> None:
        """Refuse labels that are not on the grid of the volume."""
        num_slices = self.volume.grid.shape[0]
        slices = self.truth.slices
        if self.truth.blood is not None and self.truth.blood.shape != self.volume.grid.shape:
            raise ValueError("the mask has another shape than the volume")
        if slices is not None and len(slices) != num_slices:
            raise ValueError(f"there are labels of {len(slices)} slices, not {num_slices}")

    @property
    def mask(self) -> Mask | None:
        """Subtype of each voxel, if it is known."""
        return self.truth.mask


def write_study(path: Path, study: Study) -> None:
    """Write a study; the file appears whole or not at all.

    Parameters
    ----------
    path
        With the suffix ``.npz``. Equal studies give equal bytes on one machine.
    study
        Whole Hounsfield units are stored as int16, others as float32.
    """
    grid, truth = study.volume.grid, study.truth
    arrays: dict[str, NDArray[Any]] = {
        "format": np.array(_FORMAT),
        "study_id": np.array(study.study_id),
        "patient_id": np.array(study.patient_id),
        "hu": _compact(study.volume.hu),
        "slice_origins_mm": grid.slice_origins_mm,
        "directions": np.stack([grid.row_direction, grid.column_direction]),
        "pixel_spacing_mm": np.array(grid.pixel_spacing_mm),
    }
    if truth.mask is not None:
        arrays["labels"] = truth.mask.labels
    if truth.bleed is not None:
        arrays["bleed"] = truth.bleed
    if truth.slices is not None:
        arrays["slice_labels"] = truth.slices
    if study.slice_thickness_mm is not None:
        arrays["slice_thickness_mm"] = np.array(study.slice_thickness_mm)
    partial = path.with_suffix(".part")
    with partial.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    partial.replace(path)


def read_study(path: Path) -> Study:
    """Read a study that `write_study` wrote.

    Raises
    ------
    UnreadableInputError
        If the file is missing, damaged, or something else.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            return _study({name: held[name] for name in held.files})
    except _FOREIGN_FAULTS as error:
        raise UnreadableInputError(f"{path.name} is no study of a data set, or damaged") from error


def _study(held: Mapping[str, NDArray[Any]]) -> Study:
    if int(held["format"]) != _FORMAT:
        raise ValueError(f"the format is {int(held['format'])}, not {_FORMAT}")
    hu = held["hu"].astype(np.float32)
    between_rows, between_columns = held["pixel_spacing_mm"].tolist()
    grid = Grid(
        slice_origins_mm=held["slice_origins_mm"],
        row_direction=held["directions"][0],
        column_direction=held["directions"][1],
        pixel_spacing_mm=(between_rows, between_columns),
        rows=hu.shape[1],
        columns=hu.shape[2],
    )
    thickness = held.get("slice_thickness_mm")
    return Study(
        study_id=str(held["study_id"]),
        patient_id=str(held["patient_id"]),
        volume=Volume(hu, grid),
        truth=Truth(
            mask=Mask(held["labels"], grid) if "labels" in held else None,
            bleed=held.get("bleed"),
            slices=held.get("slice_labels"),
        ),
        slice_thickness_mm=None if thickness is None else float(thickness),
    )


def _compact(hu: NDArray[np.float32]) -> NDArray[np.int16] | NDArray[np.float32]:
    limits = np.iinfo(np.int16)
    if limits.min <= hu.min() and hu.max() <= limits.max and (hu == np.rint(hu)).all():
        return hu.astype(np.int16)
    return hu
