"""Synthetic studies on the disk: CT images as DICOM, and the truth beside them."""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from config.errors import UsageError
from ml.phantom import Scan, make_phantom, write_localizer, write_series
from ml.phantom.series import ACQUIRED
from ml.readers.dicom import read_series
from ml.volume import Mask, Subtype
from node.results.headers import encode
from node.results.identity import (
    ContentQualification,
    ModelIdentity,
    NodeIdentity,
    ResultContext,
    model_device_uid,
)
from node.results.segmentation import build_segmentation

IMAGES, TRUE_MASK, TRUTH = "ct", "truth.dcm", "truth.json"
HEALTHY = "none"
"""Stands for a head without haemorrhage on the command line."""
PHANTOM = NodeIdentity(
    ae_title="PHANTOM",
    manufacturer="Midline",
    product="Synthetic head",
    version="1",
    serial="0",
    content_qualification=ContentQualification.SERVICE,
)
PHANTOM_TRUTH = ModelIdentity("phantom-truth", "1", "Midline", model_device_uid("phantom", "truth"))


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
        Holds ``ct``, the true mask ``truth.dcm`` if there is haemorrhage, and ``truth.json``.
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


def write_study(folder: Path, head: SyntheticHead, *, num_slices: int = 32) -> SyntheticStudy:
    """Make a head, and write its images and its truth into a new folder.

    Raises
    ------
    UsageError
        If the scan is too short to show a subtype.
    """
    try:
        phantom = make_phantom(head.seed, head.subtypes, scan=Scan(num_slices=num_slices))
    except ValueError as error:
        raise UsageError(f"{num_slices} slices do not show {head.title}: {error}") from error
    number = _study_number(head, num_slices)
    patient_id = f"SYNTHETIC{number}"
    slices = write_series(phantom, folder / IMAGES, seed=number, patient_id=patient_id)
    images = slices
    if head.localizer:
        localizer = write_localizer(phantom, folder / IMAGES, seed=number, patient_id=patient_id)
        images = (localizer, *slices)
    volumes_ml = {subtype: phantom.mask.volume_ml(subtype) for subtype in phantom.subtypes}
    study = SyntheticStudy(
        head=head,
        folder=folder,
        images=images,
        slices=slices,
        study_instance_uid=_write_true_mask(folder, slices, phantom.mask),
        volumes_ml=volumes_ml,
    )
    truth = {
        "study_instance_uid": study.study_instance_uid,
        "seed": head.seed,
        "num_slices": num_slices,
        "volumes_ml": {subtype.name: round(ml, 3) for subtype, ml in volumes_ml.items()},
    }
    (folder / TRUTH).write_text(json.dumps(truth, indent=2) + "\n", encoding="utf-8")
    return study


def _study_number(head: SyntheticHead, num_slices: int) -> int:
    """Draw a number for the UIDs: other content must never come under the same ones."""
    said = f"{head.seed}/{[int(s) for s in head.subtypes]}/{num_slices}"
    return zlib.crc32(said.encode())


def _write_true_mask(folder: Path, slices: Sequence[Path], mask: Mask) -> str:
    """Write the true mask as a Segmentation of the images; give back the Study Instance UID."""
    series = read_series(slices)
    first = series.headers[0]
    if mask.labels.any():
        context = ResultContext(
            node=PHANTOM,
            model=PHANTOM_TRUTH,
            study_instance_uid=str(first.StudyInstanceUID),
            series_instance_uid=str(first.SeriesInstanceUID),
            input_digest=series.pixel_digest,
            created=ACQUIRED,
        )
        segmentation, _ = build_segmentation(context, series, mask)
        segmentation.SeriesDescription = "True mask of a synthetic head"
        (folder / TRUE_MASK).write_bytes(encode(segmentation))
    return str(first.StudyInstanceUID)
