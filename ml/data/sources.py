"""What every layout gives: studies that can be read, one by one, and where each lies."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from config.errors import UsageError
from ml.data.studies import Truth
from ml.volume import Subtype, Volume


class MissingMasks(StrEnum):
    """What a study without a mask means; only the person who brings it can know."""

    REFUSE = "refuse"
    """A fault: the mask is lost."""
    UNLABELLED = "unlabelled"
    """Nobody has looked: nothing is known about it."""
    EMPTY = "empty"
    """Somebody has looked, and there is no haemorrhage to draw."""


@dataclass(frozen=True)
class Options:
    """Choices with which a source is read.

    Attributes
    ----------
    missing_masks
        What a study without a mask means.
    masks_follow_images
        Whether voxels of NIfTI masks are those of their images whatever their headers say.
    binary
        Whether masks of the layout ``nifti`` say only where it bleeds.
    subtype
        The one subtype that masks of the layout ``nifti`` outline.
    """

    missing_masks: MissingMasks = MissingMasks.REFUSE
    masks_follow_images: bool = False
    binary: bool = False
    subtype: Subtype | None = None

    def __post_init__(self) -> None:
        """Refuse choices that exclude each other."""
        if self.binary and self.subtype is not None:
            raise UsageError("masks are binary or of one subtype, not both")

    def plain(self) -> dict[str, str | int | float | bool]:
        """Turn the choices into what a manifest holds."""
        subtype = "" if self.subtype is None else self.subtype.name
        return {**asdict(self), "subtype": subtype}


@dataclass(frozen=True, eq=False)
class Content:
    """A study as a source gives it.

    Attributes
    ----------
    volume, truth, slice_thickness_mm
        As in `ml.data.studies.Study`.
    """

    volume: Volume
    truth: Truth
    slice_thickness_mm: float | None = None


@dataclass(frozen=True)
class SourceStudy:
    """A study that a source holds.

    Attributes
    ----------
    where
        What to look at if it is faulty: a path below the source. For the person who brings the
        source, never for a file or a log.
    patient, study
        Identifiers of the source.
    read
        Reads it; raises `config.errors.InputError` if it is faulty.
    """

    where: str
    patient: str
    study: str
    read: Callable[[], Content]


@dataclass(frozen=True)
class Layout:
    """A published form of a data set.

    Attributes
    ----------
    name
        As a person writes it.
    about
        In a few words.
    name_space
        Of its patients' identifiers; collections with the same patients share it.
    find
        Lists the studies below a folder; raises `config.errors.UsageError`, which says what was
        looked for, if the folder has another layout.
    """

    name: str
    about: str
    name_space: str
    find: Callable[[Path, Options], Sequence[SourceStudy]]


def subfolder(source: Path, *candidates: str) -> Path | None:
    """Return the first of some folders below a source that is there."""
    return next((source / name for name in candidates if (source / name).is_dir()), None)


def wrong_layout(source: Path, layout: str, *looked_for: str) -> UsageError:
    """Say that a folder has not the layout that was named."""
    return UsageError(f"{source} has not the layout {layout}: looked for {', '.join(looked_for)}")
