"""Synthetic patients for training: made once from their seeds, kept in a cache, split by patient.

Each patient goes through `ml.align` and `ml.preprocess`, as in the node, so that what is trained
is what runs. The cache holds ``.npz`` files without pickled objects.
"""

import hashlib
import json
import logging
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track

import ml
from ml.align import Alignment, align
from ml.phantom import Phantom, Population, digest_of_templates, find_templates, make_patient
from ml.preprocess import AlignedVolume, InputSpec, resample, resample_labels
from ml.training.recipes import PhantomSource
from ml.volume import NUM_CLASSES, Grid

logger = logging.getLogger(__name__)

# Axes: Z slice, S row and column of the aligned image

_CODE_THAT_MAKES_CASES = ("phantom/*.py", "align/*.py", "plane.py", "preprocess.py")


UNNAMED: int = NUM_CLASSES
"""In the labels of a `Case`: blood of a subtype that nobody named."""


@dataclass(frozen=True, eq=False)
class Case:
    """One patient, aligned.

    Attributes
    ----------
    seed
        Who it is.
    hu
        Shape (Z, S, S), int16, HU.
    labels
        Shape (Z, S, S), uint8: 0, the value of a `Subtype`, or `UNNAMED`.
    grid, alignment, spec
        As in `AlignedVolume`.
    """

    seed: int
    hu: NDArray[np.int16]
    labels: NDArray[np.uint8]
    grid: Grid
    alignment: Alignment
    spec: InputSpec

    @property
    def aligned(self) -> AlignedVolume:
        """What `ml.preprocess.network_input` takes."""
        return AlignedVolume(self.hu.astype(np.float32), self.grid, self.alignment, self.spec)

    @property
    def aligned_grid(self) -> Grid:
        """Where the aligned voxels lie."""
        down, right = self.alignment.axes(self.grid)
        middles_mm = self.alignment.centre_mm + self.alignment.shift_mm[:, None] * right
        half_mm = (self.spec.size - 1) / 2 * self.spec.pixel_mm
        return Grid(
            slice_origins_mm=middles_mm - half_mm * (down + right),
            row_direction=right,
            column_direction=down,
            pixel_spacing_mm=(self.spec.pixel_mm, self.spec.pixel_mm),
            rows=self.spec.size,
            columns=self.spec.size,
        )


@dataclass(frozen=True, eq=False)
class Splits:
    """Patients that share nothing.

    Attributes
    ----------
    train, validation, test
        With the truth in their labels.
    unlabelled
        Patients of whom nobody said anything; their labels are 0 and mean nothing.
    """

    train: tuple[Case, ...]
    validation: tuple[Case, ...]
    test: tuple[Case, ...]
    unlabelled: tuple[Case, ...] = ()


def make_head(seed: int, source: PhantomSource) -> Phantom:
    """Scan the patient of a seed, with the true mask on the grid of the scan."""
    population = Population(
        healthy=source.healthy,
        difficulty=source.difficulty,
        matrix=source.matrix,
        template_share=source.template_share,
    )
    return make_patient(seed, population)


def make_case(seed: int, source: PhantomSource, spec: InputSpec) -> Case:
    """Make the patient of a seed: scan, align and resample a phantom."""
    phantom = make_head(seed, source)
    volume = phantom.volume
    alignment = align(volume) if source.aligned else Alignment.identity(volume.grid)
    aligned = resample(volume, alignment, spec)
    return Case(
        seed=seed,
        hu=np.rint(aligned.hu).astype(np.int16),
        labels=resample_labels(phantom.mask, alignment, spec),
        grid=volume.grid,
        alignment=alignment,
        spec=spec,
    )


def write_case(path: Path, case: Case) -> None:
    """Write a patient; the file appears whole or not at all."""
    partial = path.with_suffix(".part")
    with partial.open("wb") as file:
        np.savez(
            file,
            seed=np.int64(case.seed),
            hu=case.hu,
            labels=case.labels,
            slice_origins_mm=case.grid.slice_origins_mm,
            directions=np.stack([case.grid.row_direction, case.grid.column_direction]),
            pixel_spacing_mm=np.array(case.grid.pixel_spacing_mm),
            rows_columns=np.array([case.grid.rows, case.grid.columns]),
            rotation_deg=np.float64(case.alignment.rotation_deg),
            shift_mm=case.alignment.shift_mm,
            centre_mm=case.alignment.centre_mm,
        )
    partial.replace(path)


def read_case(path: Path, spec: InputSpec) -> Case:
    """Read a patient that `write_case` wrote for this specification."""
    with np.load(path, allow_pickle=False) as held:
        between_rows, between_columns = held["pixel_spacing_mm"].tolist()
        rows, columns = held["rows_columns"].tolist()
        return Case(
            seed=int(held["seed"]),
            hu=held["hu"],
            labels=held["labels"],
            grid=Grid(
                slice_origins_mm=held["slice_origins_mm"],
                row_direction=held["directions"][0],
                column_direction=held["directions"][1],
                pixel_spacing_mm=(between_rows, between_columns),
                rows=rows,
                columns=columns,
            ),
            alignment=Alignment(float(held["rotation_deg"]), held["shift_mm"], held["centre_mm"]),
            spec=spec,
        )


def prepare(source: PhantomSource, spec: InputSpec, cache: Path, *, num_workers: int) -> Splits:
    """Make all patients of a source, or read those that the cache holds.

    Parameters
    ----------
    source, spec
        Who they are, and how they are resampled.
    cache
        Folder; the patients lie in one below, which is named by a digest of source, specification
        and of the code that makes them.
    num_workers
        Processes that make patients.
    """
    folder = cache / digest_of_source(source, spec)
    folder.mkdir(parents=True, exist_ok=True)
    counts = (source.num_train, source.num_validation, source.num_test)
    seeds = range(source.first_seed, source.first_seed + sum(counts))
    missing = [seed for seed in seeds if not _path(folder, seed).exists()]
    if missing:
        _make_missing(missing, source, spec, folder, num_workers)
    cases = [read_case(_path(folder, seed), spec) for seed in seeds]
    logger.info("%d synthetic patients, %d of them made now", len(cases), len(missing))
    first, second = source.num_train, source.num_train + source.num_validation
    return Splits(tuple(cases[:first]), tuple(cases[first:second]), tuple(cases[second:]))


def _make_missing(
    seeds: Sequence[int], source: PhantomSource, spec: InputSpec, folder: Path, num_workers: int
) -> None:
    # for the processes to come: products of matrices on one thread, or they wait for each other
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    # a forked process would inherit torch's threads in an unknown state
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_workers, mp_context=spawning) as pool:
        making = [pool.submit(_make_and_write, seed, source, spec, folder) for seed in seeds]
        for made in track(making, description="making synthetic patients"):
            made.result()


def _make_and_write(seed: int, source: PhantomSource, spec: InputSpec, folder: Path) -> None:
    torch.set_num_threads(1)
    write_case(_path(folder, seed), make_case(seed, source, spec))


def _path(folder: Path, seed: int) -> Path:
    return folder / f"{seed:07d}.npz"


def digest_of_source(source: PhantomSource, spec: InputSpec) -> str:
    """Short digest of what decides how a patient of a given seed looks."""
    package = Path(ml.__file__).parent
    digest = hashlib.sha256()
    made_of = asdict(source)
    for counted in ("num_train", "num_validation", "num_test", "first_seed"):
        del made_of[counted]
    templates = find_templates() if source.template_share else None
    settings = {**made_of, "spec": asdict(spec), "templates": digest_of_templates(templates)}
    digest.update(json.dumps(settings, sort_keys=True).encode())
    for pattern in _CODE_THAT_MAKES_CASES:
        for path in sorted(package.glob(pattern)):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
