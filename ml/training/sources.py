"""Patients for training from a data set on disk (`ml.data`): aligned once, kept in a cache.

What a study's labels say is what is learned from them: a mask with subtypes all of it; a mask
without subtypes that it bleeds there (`UNNAMED`); labels of slices, or nobody's word, that a
study which shows no haemorrhage at all shows none. All others are patients without labels.
"""

import hashlib
import json
import logging
import multiprocessing
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track

import ml
from config.errors import UnreadableInputError, UsageError
from ml.align import align
from ml.data.manifest import Entry, Manifest, file_sha256, read_manifest
from ml.data.splits import Split
from ml.data.studies import LabelKind, Study, read_study
from ml.preprocess import InputSpec, resample, resample_labels
from ml.training.datasets import UNNAMED, Case, Splits, read_case, write_case
from ml.volume import Mask

logger = logging.getLogger(__name__)

# Axes: Z slice, S row and column of the aligned image

_CODE_THAT_MAKES_CASES = (
    "align.py",
    "align/*.py",
    "plane.py",
    "preprocess.py",
    "training/sources.py",
)


class Use(StrEnum):
    """What a study is good for in training."""

    NAMED = "voxels of each subtype"
    UNNAMED = "voxels of any subtype"
    HEALTHY = "free of blood"
    UNLABELLED = "without labels of voxels"


@dataclass(frozen=True, eq=False)
class Prepared:
    """A data set, ready for training.

    Attributes
    ----------
    splits
        Its patients.
    story
        What a model card says of them.
    digest
        Of the manifest.
    counts
        Studies by split and use, ``"train, voxels of each subtype"``.
    num_left_out
        Studies for validation or test that nobody labelled: they cannot measure anything.
    """

    splits: Splits
    story: str
    digest: str
    counts: Mapping[str, int]
    num_left_out: int


def prepare_dataset(folder: Path, spec: InputSpec, cache: Path, *, num_workers: int) -> Prepared:
    """Read the patients of a data set as a network is shown them; align those that are new.

    Parameters
    ----------
    folder
        As ``midline data prepare`` makes it.
    spec
        What the network is shown.
    cache
        Folder; the patients lie in one below, named by a digest of the data set, the
        specification and the code that aligns.
    num_workers
        Processes that align.

    Raises
    ------
    UsageError
        If the folder is no data set, or has nobody with a mask to train or to validate on.
    UnreadableInputError
        If a file is damaged, or not the one in the manifest.
    """
    manifest = read_manifest(folder)
    usable = [each for each in manifest.studies if _is_usable(each)]
    _check(folder, usable)
    kept = cache / _digest(manifest, spec)
    kept.mkdir(parents=True, exist_ok=True)
    missing = [each for each in usable if not _path(kept, each).exists()]
    if missing:
        _make_missing(missing, folder, spec, kept, num_workers)
    logger.info("%d studies, %d of them aligned now", len(usable), len(missing))
    counts = Counter(f"{each.split}, {use_of(each)}" for each in usable)
    num_left_out = len(manifest.studies) - len(usable)
    return Prepared(
        splits=_splits(usable, kept, spec),
        story=_story(manifest, counts, num_left_out),
        digest=manifest.digest,
        counts=counts,
        num_left_out=num_left_out,
    )


def use_of(entry: Entry) -> Use:
    """Say what a study is good for by what its labels say."""
    if entry.labels is LabelKind.SUBTYPES:
        return Use.NAMED
    if entry.labels is LabelKind.BINARY:
        return Use.UNNAMED
    return Use.HEALTHY if entry.bleeds is False else Use.UNLABELLED


def make_case(number: int, study: Study, use: Use, spec: InputSpec) -> Case:
    """Align a study and its labels.

    Parameters
    ----------
    number
        Stands for the seed of a `Case`.
    """
    alignment = align(study.volume)
    aligned = resample(study.volume, alignment, spec)
    labels = np.zeros(aligned.hu.shape, np.uint8)
    if use in (Use.NAMED, Use.UNNAMED):
        labels = resample_labels(_mask(study), alignment, spec)
    return Case(
        seed=number,
        hu=np.rint(aligned.hu).astype(np.int16),
        labels=labels * np.uint8(UNNAMED) if use is Use.UNNAMED else labels,
        grid=study.volume.grid,
        alignment=alignment,
        spec=spec,
    )


def _mask(study: Study) -> Mask:
    """Where it bleeds; 1 for any subtype if none was drawn."""
    if study.mask is not None:
        return study.mask
    bleed: NDArray[np.bool_] | None = study.truth.bleed
    if bleed is None:
        raise UnreadableInputError(f"study {study.study_id} has no mask, though its entry says so")
    return Mask(bleed.astype(np.uint8), study.volume.grid)


def _is_usable(entry: Entry) -> bool:
    return entry.split is Split.TRAIN or use_of(entry) is not Use.UNLABELLED


def _check(folder: Path, usable: Sequence[Entry]) -> None:
    for split, needed in ((Split.TRAIN, "train"), (Split.VALIDATION, "validate")):
        if not any(each.split is split and each.has_mask for each in usable):
            raise UsageError(f"{folder} has no study with a mask to {needed} on")


def _make_missing(
    entries: Sequence[Entry], folder: Path, spec: InputSpec, kept: Path, num_workers: int
) -> None:
    # a forked process would inherit torch's threads in an unknown state
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_workers, mp_context=spawning) as pool:
        making = [
            pool.submit(_make_and_write, number, entry, folder, spec, kept)
            for number, entry in enumerate(entries)
        ]
        for made in track(making, description="aligning studies"):
            made.result()


def _make_and_write(number: int, entry: Entry, folder: Path, spec: InputSpec, kept: Path) -> None:
    torch.set_num_threads(1)
    path = folder / entry.file
    study = read_study(path)
    if file_sha256(path) != entry.sha256:
        raise UnreadableInputError(f"{entry.file} was changed after the manifest was written")
    write_case(_path(kept, entry), make_case(number, study, use_of(entry), spec))


def _splits(usable: Sequence[Entry], kept: Path, spec: InputSpec) -> Splits:
    found: dict[tuple[Split, bool], list[Case]] = {}
    for entry in usable:
        place = (entry.split, use_of(entry) is Use.UNLABELLED)
        found.setdefault(place, []).append(read_case(_path(kept, entry), spec))
    return Splits(
        train=tuple(found.get((Split.TRAIN, False), ())),
        validation=tuple(found.get((Split.VALIDATION, False), ())),
        test=tuple(found.get((Split.TEST, False), ())),
        unlabelled=tuple(found.get((Split.TRAIN, True), ())),
    )


def _story(manifest: Manifest, counts: Mapping[str, int], num_left_out: int) -> str:
    told = "; ".join(f"{name}: {count}" for name, count in sorted(counts.items()))
    left_out = f"; {num_left_out} without labels left out of validation and test"
    return (
        f"Studies of a data set in the layout {manifest.layout}, split by patient. {told}"
        f"{left_out if num_left_out else ''}."
    )


def _path(kept: Path, entry: Entry) -> Path:
    return kept / f"{entry.study_id}.npz"


def _digest(manifest: Manifest, spec: InputSpec) -> str:
    digest = hashlib.sha256(manifest.digest.encode())
    digest.update(json.dumps(asdict(spec), sort_keys=True).encode())
    package = Path(ml.__file__).parent
    for pattern in _CODE_THAT_MAKES_CASES:
        for path in sorted(package.glob(pattern)):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
