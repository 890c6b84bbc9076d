"""Phantoms as a data set, in the same form as real studies: what evaluates one evaluates both."""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np

from ml.data.manifest import STUDIES, Entry, Manifest, entry_of, write_manifest
from ml.data.prepare import Making, finished, new_folder
from ml.data.splits import Split
from ml.data.studies import Study, Truth, write_study
from ml.phantom import Population, digest_of_templates, find_templates, make_patient
from ml.volume import Volume


def phantom_study(seed: int, population: Population) -> Study:
    """Make the phantom of a seed.

    Returns
    -------
    Study
        Whole Hounsfield units, as a scanner stores them. It is its patient's only one.
    """
    phantom = make_patient(seed, population)
    name = f"phantom-{seed:07d}"
    return Study(
        study_id=name,
        patient_id=name,
        volume=Volume(np.rint(phantom.volume.hu), phantom.volume.grid),
        truth=Truth(mask=phantom.mask),
        slice_thickness_mm=phantom.scan.slice_step_mm,
    )


def prepare_phantoms(
    out: Path,
    seeds: Sequence[int],
    *,
    population: Population,
    making: Making,
    num_workers: int = 2,
    step: Callable[[], object] = lambda: None,
) -> Manifest:
    """Make phantoms, and write them as a data set.

    Parameters
    ----------
    out
        Folder of the data set; it must not exist yet.
    seeds
        One for each patient.
    population
        The same seeds and population give the same studies, however many processes make them.
    making, step
        As for `ml.data.prepare.prepare`.
    num_workers
        Processes that make phantoms; with 1 it is this one.

    Raises
    ------
    UsageError
        If the folder exists or cannot be written.
    """
    with new_folder(out) as folder:
        entries = _made(folder, seeds, population, num_workers, step)
        manifest = finished(
            entries,
            (),
            layout="phantoms",
            options={
                "healthy": population.healthy,
                "difficulty": str(population.difficulty),
                "matrix": population.matrix,
                "template_share": population.template_share,
                "templates_sha256": digest_of_templates(find_templates()),
            },
            making=making,
        )
        write_manifest(folder, manifest)
    return manifest


def _made(
    folder: Path,
    seeds: Sequence[int],
    population: Population,
    num_workers: int,
    step: Callable[[], object],
) -> list[Entry]:
    if num_workers == 1:
        entries = []
        for seed in seeds:
            entries.append(_make(seed, population, folder))
            step()
        return entries
    # for the processes to come: products of matrices on one thread, or they wait for each other
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    # a forked process would inherit threads in an unknown state
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_workers, mp_context=spawning) as pool:
        making = [pool.submit(_make, seed, population, folder) for seed in seeds]
        try:
            for _ in as_completed(making):
                step()
            return [made.result() for made in making]
        finally:
            pool.shutdown(cancel_futures=True)


def _make(seed: int, population: Population, folder: Path) -> Entry:
    study = phantom_study(seed, population)
    path = folder / STUDIES / f"{study.study_id}.npz"
    write_study(path, study)
    return entry_of(study, path, Split.TRAIN)
