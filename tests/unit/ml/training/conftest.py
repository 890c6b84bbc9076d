"""Tiny synthetic patients, made without rendering: a grey head with a bright square of blood."""

from collections.abc import Callable

import numpy as np
import pytest

from ml.align import Alignment
from ml.preprocess import InputSpec
from ml.training.datasets import Case, Splits
from ml.training.recipes import PhantomSource, Recipe
from ml.volume import Grid, Subtype

SIZE = 32
SPEC = InputSpec(size=SIZE, pixel_mm=7.0, windows=((50.0, 100.0),), num_slices=3)
MakeCase = Callable[..., Case]


def make_case(seed: int, subtype: Subtype | None = None, *, num_slices: int = 6) -> Case:
    """Make a head; with a subtype, two slices show 10 x 10 pixels of blood."""
    rng = np.random.default_rng(seed)
    hu = np.full((num_slices, SIZE, SIZE), -1000.0)
    hu[:, 4:-4, 4:-4] = 30 + rng.normal(0, 3, (num_slices, SIZE - 8, SIZE - 8))
    labels = np.zeros(hu.shape, np.uint8)
    if subtype is not None:
        row, column = rng.integers(5, 17, 2)
        lesion = (slice(2, 4), slice(row, row + 10), slice(column, column + 10))
        hu[lesion] += 40
        labels[lesion] = subtype
    origins_mm = np.zeros((num_slices, 3))
    origins_mm[:, 2] = np.arange(num_slices) * 5.0
    grid = Grid(
        slice_origins_mm=origins_mm,
        row_direction=np.array([1.0, 0.0, 0.0]),
        column_direction=np.array([0.0, 1.0, 0.0]),
        pixel_spacing_mm=(7.0, 7.0),
        rows=SIZE,
        columns=SIZE,
    )
    whole_hu = np.rint(hu).astype(np.int16)
    return Case(seed, whole_hu, labels, grid, Alignment.identity(grid), SPEC)


@pytest.fixture(name="make_case")
def make_case_fixture() -> MakeCase:
    return make_case


@pytest.fixture
def recipe() -> Recipe:
    """Three steps of a tiny network."""
    return Recipe(
        name="tiny",
        network="sym-transnet-lite",
        network_config={
            "in_channels": SPEC.num_channels,
            "image_size": SIZE,
            "base_width": 4,
            "token_width": 8,
            "num_layers": 1,
            "num_heads": 2,
        },
        input=SPEC,
        phantoms=PhantomSource(num_train=3, num_validation=2, num_test=2),
        num_steps=3,
        batch_size=4,
        warmup_steps=1,
        learning_rate=1e-2,
        validate_every=2,
        num_watched=2,
    )


@pytest.fixture
def splits() -> Splits:
    """Seven heads."""
    return Splits(
        train=(make_case(0, Subtype.IPH), make_case(1, Subtype.SDH), make_case(2)),
        validation=(make_case(3, Subtype.IPH), make_case(4)),
        test=(make_case(5, Subtype.SDH), make_case(6)),
    )
