"""The synthetic patients of a run, with their true masks on the grid of the source.

Training needs truth on the aligned grid, and that is what `ml.training.datasets` keeps. What is
measured is measured where the images came from, as in the node; so the masks of those who are
measured are kept beside it.
"""

import hashlib
import json
import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from config.errors import UsageError
from ml.preprocess import InputSpec, resample_labels
from ml.reproduction.parts import Before, Json, Part
from ml.training.datasets import Case, Splits, digest_of_source, make_head, prepare
from ml.training.recipes import PhantomSource
from ml.volume import Mask, Subtype


@dataclass(frozen=True, eq=False)
class Heads:
    """The patients of a source.

    Attributes
    ----------
    splits
        As `ml.training.datasets.prepare` gives them.
    truths
        By seed the true mask of every validation and test patient, on the grid of the source.
    """

    splits: Splits
    truths: Mapping[int, Mask]

    @cached_property
    def digest(self) -> str:
        """Digest of every patient, voxel by voxel."""
        digest = hashlib.sha256()
        for case in (*self.splits.train, *self.splits.validation, *self.splits.test):
            for array in (case.hu, case.labels, case.alignment.shift_mm):
                digest.update(array.tobytes())
            digest.update(f"{case.seed} {case.alignment.rotation_deg!r}".encode())
        for seed, truth in sorted(self.truths.items()):
            digest.update(str(seed).encode())
            digest.update(truth.labels.tobytes())
        return digest.hexdigest()


_MOST_HELD = 3
"""The conditions of the experiment on symmetry: about half a gigabyte each."""

GetHeads = Callable[[PhantomSource, InputSpec], Heads]
"""Gives the patients of a source, resampled by a specification."""


class HeadsKept:
    """Makes patients where it must, and keeps those of the last few sources in memory.

    Parameters
    ----------
    cache
        Folder of `ml.training.datasets.prepare`.
    num_workers
        Processes that make patients.
    """

    def __init__(self, cache: Path, num_workers: int) -> None:
        self._cache, self._num_workers = cache, num_workers
        self._held: dict[tuple[PhantomSource, InputSpec], Heads] = {}

    def __call__(self, source: PhantomSource, spec: InputSpec) -> Heads:
        """Return the patients of a source; it is a `GetHeads`."""
        if (source, spec) not in self._held:
            if len(self._held) == _MOST_HELD:
                del self._held[next(iter(self._held))]
            splits = prepare(source, spec, self._cache, num_workers=self._num_workers)
            measured = (*splits.validation, *splits.test)
            truths = _true_masks(measured, source, spec, self._cache, self._num_workers)
            self._held[source, spec] = Heads(splits, truths)
        return self._held[source, spec]


def data_part(name: str, source: PhantomSource, spec: InputSpec, get: GetHeads) -> Part:
    """Part that makes the patients; what comes after it depends on their digest."""

    def make(_folder: Path, _before: Before) -> Json:
        heads = get(source, spec)
        splits = heads.splits
        return {
            "digest": heads.digest,
            "patients": {
                "train": len(splits.train),
                "validation": len(splits.validation),
                "test": len(splits.test),
            },
            "with_a_bleed": {
                "train": sum(bool(case.labels.any()) for case in splits.train),
                "validation": _bleeding(splits.validation, heads),
                "test": _bleeding(splits.test, heads),
            },
            "with": {
                subtype.name: sum(
                    bool((heads.truths[case.seed].labels == subtype).any()) for case in splits.test
                )
                for subtype in Subtype
            },
        }

    settings = {"phantoms": plain(source), "input": plain(spec)}
    # of the code that draws, and of the templates of anatomy where there are any
    return Part(name, settings, digest_of_source(source, spec), make)


def plain(settings: object) -> Json:
    """Turn settings (a dataclass of plain values) into what JSON holds."""
    return json.loads(json.dumps(settings, default=vars))


def heads_as_before(heads: Heads, made: Json, name: str) -> Heads:
    """Return patients if they are those that a finished data part had.

    Raises
    ------
    UsageError
        If their digest is another one: the cache is damaged, or the code changed under the run.
    """
    if heads.digest != made["digest"]:
        raise UsageError(
            f"the patients of {name} are not those with which it was finished: delete the cache "
            "and run it again"
        )
    return heads


def _bleeding(cases: Sequence[Case], heads: Heads) -> int:
    return sum(bool(heads.truths[case.seed].labels.any()) for case in cases)


def _true_masks(
    cases: Sequence[Case], source: PhantomSource, spec: InputSpec, cache: Path, num_workers: int
) -> dict[int, Mask]:
    """Read the true masks, after making those that are missing."""
    # the truth of a head does not change with the alignment: both conditions share it
    folder = cache / f"truth-{digest_of_source(replace(source, aligned=True), spec)}"
    folder.mkdir(parents=True, exist_ok=True)
    missing = [case.seed for case in cases if not (folder / f"{case.seed}.npz").exists()]
    if missing and num_workers > 1:
        spawning = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(num_workers, mp_context=spawning) as pool:
            making = [pool.submit(_write_truth_alone, folder, seed, source) for seed in missing]
            for made in making:
                made.result()
    else:
        for seed in missing:
            _write_truth(folder, seed, source)
    return {case.seed: _read_truth(folder, case) for case in cases}


def _write_truth_alone(folder: Path, seed: int, source: PhantomSource) -> None:
    torch.set_num_threads(1)  # the other cores have processes of their own
    _write_truth(folder, seed, source)


def _write_truth(folder: Path, seed: int, source: PhantomSource) -> None:
    """Make a patient again, and keep the mask."""
    head = make_head(seed, source)
    partial = folder / f"{seed}.part"
    with partial.open("wb") as file:
        np.savez_compressed(file, labels=head.mask.labels)
    partial.replace(folder / f"{seed}.npz")


def _read_truth(folder: Path, case: Case) -> Mask:
    with np.load(folder / f"{case.seed}.npz", allow_pickle=False) as held:
        truth = Mask(held["labels"], case.grid)
    if not np.array_equal(resample_labels(truth, case.alignment, case.spec), case.labels):
        raise UsageError(
            f"the head of seed {case.seed} is another one than in {folder.parent}: delete that "
            "folder, it is only a cache"
        )
    return truth
