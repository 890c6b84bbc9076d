"""Synthetic patients: made from seeds, kept without pickles, split by patient."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ml.phantom.pose import sample_scan
from ml.preprocess import InputSpec
from ml.training.datasets import make_case, prepare, read_case, write_case
from ml.training.recipes import PhantomSource
from ml.volume import Subtype

from .conftest import SPEC, MakeCase

COARSE = InputSpec(size=64, pixel_mm=3.5)
SOURCE = PhantomSource(num_train=1, num_validation=1, num_test=1, healthy=0.0, matrix=64)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_a_patient_comes_back_from_disk(tmp_path: Path, make_case: MakeCase) -> None:
    case = make_case(3, Subtype.SDH)
    write_case(tmp_path / "3.npz", case)
    read = read_case(tmp_path / "3.npz", SPEC)
    assert read.seed == 3
    assert (read.hu == case.hu).all()
    assert (read.labels == case.labels).all()
    assert read.grid.shape == case.grid.shape
    np.testing.assert_allclose(read.aligned_grid.voxel_ml, case.aligned_grid.voxel_ml)
    np.testing.assert_allclose(read.alignment.centre_mm, case.alignment.centre_mm)
    assert [path.name for path in tmp_path.iterdir()] == ["3.npz"]


def test_an_unturned_head_keeps_its_grid(make_case: MakeCase) -> None:
    case = make_case(0)
    np.testing.assert_allclose(case.aligned_grid.slice_origins_mm, case.grid.slice_origins_mm)
    assert case.aligned_grid.shape == case.grid.shape


@pytest.mark.slow
def test_a_seed_is_a_patient() -> None:
    case = make_case(1, SOURCE, COARSE)
    again = make_case(1, SOURCE, COARSE)
    assert (case.hu == again.hu).all()
    assert (case.labels == again.labels).all()
    assert case.labels.any()
    assert case.labels.shape == case.hu.shape == (case.grid.shape[0], 64, 64)


@pytest.mark.slow
def test_patients_are_made_once_and_belong_to_one_split(tmp_path: Path) -> None:
    splits = prepare(SOURCE, COARSE, tmp_path, num_workers=1)
    seeds = [case.seed for case in (*splits.train, *splits.validation, *splits.test)]
    assert seeds == [0, 1, 2]
    made = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}
    prepare(SOURCE, COARSE, tmp_path, num_workers=1)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")} == made
    fewer = replace(SOURCE, num_validation=0)
    assert [case.seed for case in prepare(fewer, COARSE, tmp_path, num_workers=1).test] == [1]


def test_protocols_differ_and_reach_over_a_head() -> None:
    scans = [sample_scan(np.random.default_rng(seed), matrix=256) for seed in range(60)]
    assert {scan.slice_step_mm for scan in scans} >= {2.5, 3.0, 4.0, 5.0, 6.0}
    assert any(scan.gantry_tilt_deg for scan in scans)
    assert not all(scan.gantry_tilt_deg for scan in scans)
    for scan in scans:
        mean_step_mm = (scan.slice_step_mm + (scan.upper_step_mm or scan.slice_step_mm)) / 2
        assert 140 < scan.num_slices * mean_step_mm < 185
