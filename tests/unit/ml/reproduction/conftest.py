"""Tiny heads, made without rendering, and the results of patients who were never segmented."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from ml.align import Alignment
from ml.evaluation.cases import ANY, KINDS, CaseResult, Overlap
from ml.preprocess import InputSpec
from ml.reproduction.heads import GetHeads, Heads
from ml.training.datasets import Case, Splits
from ml.training.recipes import PhantomSource
from ml.volume import Grid, Mask, Subtype

SIZE = 32
SPEC = InputSpec(size=SIZE, pixel_mm=7.0, windows=((50.0, 100.0),), num_slices=1)
SOURCE = PhantomSource(num_train=4, num_validation=3, num_test=6, healthy=0.3, matrix=SIZE)
NUM_SLICES = 4

MakeResult = Callable[..., CaseResult]


def make_case(seed: int, spec: InputSpec) -> Case:
    """Make a grey head; all but every third have two slices with a bright square of blood."""
    rng = np.random.default_rng(seed)
    hu = np.full((NUM_SLICES, SIZE, SIZE), -1000.0)
    hu[:, 4:-4, 4:-4] = 30 + rng.normal(0, 3, (NUM_SLICES, SIZE - 8, SIZE - 8))
    labels = np.zeros(hu.shape, np.uint8)
    if seed % 3:
        row, column = rng.integers(5, 17, 2)
        lesion = (slice(1, 3), slice(row, row + 10), slice(column, column + 10))
        hu[lesion] += 40
        labels[lesion] = 1 + seed % len(Subtype)
    origins_mm = np.zeros((NUM_SLICES, 3))
    origins_mm[:, 2] = np.arange(NUM_SLICES) * 5.0
    grid = Grid(
        slice_origins_mm=origins_mm,
        row_direction=np.array([1.0, 0.0, 0.0]),
        column_direction=np.array([0.0, 1.0, 0.0]),
        pixel_spacing_mm=(spec.pixel_mm, spec.pixel_mm),
        rows=SIZE,
        columns=SIZE,
    )
    whole_hu = np.rint(hu).astype(np.int16)
    return Case(seed, whole_hu, labels, grid, Alignment.identity(grid), spec)


@pytest.fixture
def get_heads() -> GetHeads:
    """Give the tiny heads of a source."""

    def get(source: PhantomSource, spec: InputSpec) -> Heads:
        counts = (source.num_train, source.num_validation, source.num_test)
        cases = [make_case(source.first_seed + number, spec) for number in range(sum(counts))]
        first, second = counts[0], counts[0] + counts[1]
        splits = Splits(tuple(cases[:first]), tuple(cases[first:second]), tuple(cases[second:]))
        return Heads(splits, {case.seed: Mask(case.labels, case.grid) for case in cases[first:]})

    return get


@pytest.fixture
def make_result() -> MakeResult:
    """Make the result of a patient from volumes of one subtype."""

    def make(
        patient: int,
        *,
        truth_ml: float = 0.0,
        both_ml: float = 0.0,
        said_ml: float | None = None,
        score: float = 0.0,
        any_voxel: bool | None = None,
    ) -> CaseResult:
        said = both_ml if said_ml is None else said_ml
        nothing, lesion = Overlap(0.0, 0.0, 0.0), Overlap(truth_ml, said, both_ml)
        of: Mapping[str, Overlap] = {
            kind: lesion if kind in (ANY, "SDH") else nothing for kind in KINDS
        }
        return CaseResult(
            study_id=f"study-{patient}",
            patient_id=f"patient-{patient}",
            slice_thickness_mm=5.0,
            score=score,
            any_voxel=said > 0 if any_voxel is None else any_voxel,
            of=of,
            largest_ml={kind: said if kind == "SDH" else 0.0 for kind in KINDS[1:]},
            seconds=1.0,
        )

    return make
