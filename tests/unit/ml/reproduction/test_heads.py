"""Synthetic heads with their truth on the grid of the source."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from config.errors import UsageError
from ml.preprocess import InputSpec, resample_labels
from ml.reproduction.heads import HeadsKept
from ml.training.recipes import PhantomSource

SPEC = InputSpec(size=64, pixel_mm=3.4, windows=((50.0, 100.0),), num_slices=1)
SOURCE = PhantomSource(num_train=1, num_validation=1, num_test=1, healthy=0.0, matrix=64)


@pytest.mark.slow
def test_truth_is_kept_where_the_images_came_from(tmp_path: Path) -> None:
    heads = HeadsKept(tmp_path, 1)(SOURCE, SPEC)
    assert set(heads.truths) == {1, 2}
    for case in (*heads.splits.validation, *heads.splits.test):
        truth = heads.truths[case.seed]
        assert truth.grid.shape[1:] == (64, 64)
        assert truth.labels.any()
        aligned = resample_labels(truth, case.alignment, case.spec)
        assert np.array_equal(aligned, case.labels)
    again = HeadsKept(tmp_path, 1)
    assert again(SOURCE, SPEC) is again(SOURCE, SPEC)
    assert again(SOURCE, SPEC).digest == heads.digest

    # heads that lie as they lay have the same truth, which is not made again
    unaligned = HeadsKept(tmp_path, 1)(replace(SOURCE, aligned=False), SPEC)
    assert unaligned.digest != heads.digest
    assert len(list(tmp_path.glob("truth-*"))) == 1
    for seed, truth in unaligned.truths.items():
        assert np.array_equal(truth.labels, heads.truths[seed].labels)

    (kept,) = tmp_path.glob("truth-*")
    with (kept / "2.npz").open("wb") as file:
        np.savez(file, labels=np.zeros_like(heads.truths[2].labels))
    with pytest.raises(UsageError, match="the head of seed 2 is another one"):
        HeadsKept(tmp_path, 1)(SOURCE, SPEC)
