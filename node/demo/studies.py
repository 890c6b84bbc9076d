"""Synthetic studies on the disk: CT images as DICOM, and the truth beside them."""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import dcmread

from config.errors import UsageError
from ml.phantom import Scan, make_phantom, write_localizer, write_series
from ml.volume import Mask, Subtype

IMAGES, TRUE_MASK, TRUTH = "ct", "truth.npz", "truth.json"
FIRST_UNSEEN_SEED = 2_000_000
"""No head from here to 2,999,999 was used to train or to choose the weights that ship."""
HEALTHY = "none"
"""Stands for a head without haemorrhage on the command line."""


@dataclass(frozen=True)
class SyntheticHead:
    """A head that is to be made.

    Attributes
    ----------
    title
        What it shows, for people.
    seed
        Chance of its making; the same seed, subtypes and size give the same study.
    subtypes
        The haemorrhages that it has.
    localizer
        Whether a localizer comes with it, which no analysis may take.
    """

    title: str
    seed: int
    subtypes: tuple[Subtype, ...]
    localizer: bool = False


@dataclass(frozen=True)
class SyntheticStudy:
    """A study that was written.

    Attributes
    ----------
    head
        What was made.
    folder
        Holds ``ct``, and beside it, where nobody sends it by mistake as a DICOM file, the true mask
        ``truth.npz`` and ``truth.json``.
    images
        All images, the localizer included.
    slices
        The axial images alone, feet to head.
    volumes_ml
        True volume of each subtype.
    """

    head: SyntheticHead
    folder: Path
    images: tuple[Path, ...]
    slices: tuple[Path, ...]
    study_instance_uid: str
    volumes_ml: Mapping[Subtype, float]

    @property
    def truth_in_words(self) -> str:
        """Subtypes with their true volumes."""
        return in_words(self.volumes_ml)


def in_words(volumes_ml: Mapping[Subtype, float]) -> str:
    """Write volumes for people, the largest first."""
    ordered = sorted(volumes_ml.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{subtype.name} {ml:.1f} ml" for subtype, ml in ordered) or HEALTHY


def parse_subtypes(text: str) -> tuple[Subtype, ...]:
    """Read ``IPH,IVH``, or ``none``.

    Raises
    ------
    UsageError
        If a name is unknown.
    """
    if text.strip().lower() == HEALTHY:
        return ()
    names = [name.strip().upper() for name in text.split(",")]
    for name in names:
        if name not in Subtype.__members__:
            known = ", ".join([*Subtype.__members__, HEALTHY])
            raise UsageError(f"there is no subtype {name!r}; known are {known}")
    return tuple(sorted({Subtype[name] for name in names}))


def plan(count: int, *, subtypes: Sequence[Subtype] | None, seed: int) -> tuple[SyntheticHead, ...]:
    """Plan some heads: all with the same subtypes, or one subtype after the other, then healthy."""
    in_turn = [(subtype,) for subtype in Subtype]
    heads = []
    for index in range(count):
        wanted = in_turn[index] if subtypes is None and index < len(in_turn) else subtypes or ()
        title = " ".join(subtype.name for subtype in wanted) or HEALTHY
        heads.append(SyntheticHead(title, seed + index, tuple(wanted)))
    return tuple(heads)


def write_study(folder: Path, head: SyntheticHead, *, scan: Scan | None = None) -> SyntheticStudy:
    """Make a head, and write its images and its truth into a new folder.

    Parameters
    ----------
    folder
        Is made.
    head
        What to make.
    scan
        Number and size of the slices; by default 32 slices of 5 mm.

    Raises
    ------
    UsageError
        If the scan is too short to show a subtype.
    """
    try:
        phantom = make_phantom(head.seed, head.subtypes, scan=scan)
    except ValueError as error:
        raise UsageError(f"the slices do not show {head.title}: {error}") from error
    number = _study_number(head, phantom.scan)
    patient_id = f"SYNTHETIC{number}"
    slices = write_series(phantom, folder / IMAGES, seed=number, patient_id=patient_id)
    images = slices
    if head.localizer:
        localizer = write_localizer(phantom, folder / IMAGES, seed=number, patient_id=patient_id)
        images = (localizer, *slices)
    study = SyntheticStudy(
        head=head,
        folder=folder,
        images=images,
        slices=slices,
        study_instance_uid=str(dcmread(slices[0], stop_before_pixels=True).StudyInstanceUID),
        volumes_ml={subtype: phantom.mask.volume_ml(subtype) for subtype in phantom.subtypes},
    )
    _write_truth(study, phantom.mask)
    return study


def _study_number(head: SyntheticHead, scan: Scan) -> int:
    """Draw a number for the UIDs: other content must never come under the same ones."""
    said = f"{head.seed}/{[int(subtype) for subtype in head.subtypes]}/{scan}"
    return zlib.crc32(said.encode())


def _write_truth(study: SyntheticStudy, mask: Mask) -> None:
    """Write the true mask, shape (Z, Y, X) in the order of the slices, and what it holds."""
    np.savez_compressed(study.folder / TRUE_MASK, labels=mask.labels, allow_pickle=False)
    truth = {
        "title": study.head.title,
        "seed": study.head.seed,
        "study_instance_uid": study.study_instance_uid,
        "volumes_ml": {subtype.name: round(ml, 3) for subtype, ml in study.volumes_ml.items()},
        "labels": {subtype.name: subtype.value for subtype in Subtype},
        "slices": [path.relative_to(study.folder).as_posix() for path in study.slices],
    }
    (study.folder / TRUTH).write_text(json.dumps(truth, indent=2) + "\n", encoding="utf-8")
