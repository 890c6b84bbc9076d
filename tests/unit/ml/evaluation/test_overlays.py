"""Slices side by side: which, how they lie, and that outlines are where the labels are."""

from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ml.evaluation.cases import Overlap
from ml.evaluation.figures import encode_png
from ml.evaluation.overlays import (
    choose_examples,
    draw_overlays,
    overlay_row,
    telling_slice,
)
from ml.volume import Mask, Subtype, Volume
from tests.support.heads import BLOOD_HU, Head, Storage, axial_grid

from .conftest import make_result

GRID = axial_grid(num_slices=8, size=64, pixel_mm=3.6, step_mm=12.0)
VOLUME = Head().volume(GRID, noise_hu=0)
TRUTH = Mask(np.where(VOLUME.hu == BLOOD_HU, Subtype.SDH, 0).astype(np.uint8), GRID)
NOTHING = Mask(np.zeros_like(TRUTH.labels), GRID)


def test_examples_run_from_the_worst_to_the_best_outline_without_a_choice() -> None:
    results = [make_result(n, 0.9, overlap=Overlap(10, 10, float(10 - n % 10))) for n in range(10)]
    results += [make_result(20, 0.2), make_result(21, 0.7), make_result(22, 0.1)]
    chosen = choose_examples(results, count=3)
    dice = [each.of["ICH"].dice for each in chosen]
    assert dice == [pytest.approx(0.1), pytest.approx(0.5), pytest.approx(1.0), None]
    assert chosen[-1].score == 0.7
    assert len(choose_examples(results[:2])) == 2
    assert choose_examples([]) == ()


def test_the_slice_with_most_blood_is_shown() -> None:
    areas = (TRUTH.labels > 0).sum(axis=(1, 2))
    assert areas[telling_slice(TRUTH)] == areas.max() > 0
    assert telling_slice(NOTHING) == 4


@pytest.mark.parametrize(
    "way",
    [
        Storage(rows_reversed=True),
        Storage(columns_reversed=True),
        Storage(transposed=True, columns_reversed=True),
    ],
)
def test_a_slice_is_shown_in_one_orientation_however_it_is_stored(way: Storage) -> None:
    shown = overlay_row("a", VOLUME, TRUTH, {"model": TRUTH})
    stored_mask = Mask(way.array(TRUTH.labels), way.grid(GRID))
    stored = overlay_row("a", way.volume(VOLUME), stored_mask, {"model": stored_mask})
    np.testing.assert_array_equal(stored.hu, shown.hu)
    np.testing.assert_array_equal(stored.truth, shown.truth)
    np.testing.assert_array_equal(stored.said["model"], shown.truth)
    # the bleed is on the patient's left, which is the right of the picture
    assert np.argwhere(shown.truth)[:, 1].mean() > shown.truth.shape[1] / 2


def test_what_is_outside_the_head_is_cut_off() -> None:
    bare = overlay_row("a", Head(holder=False).volume(GRID, noise_hu=0), TRUTH, {})
    carried = overlay_row("a", VOLUME, TRUTH, {})
    # 156 mm broad, and what the margin adds
    assert bare.hu.shape == carried.hu.shape
    assert bare.hu.shape[1] == pytest.approx(156 / 3.6 + 8, abs=2)
    empty = Volume(np.full(GRID.shape, -1000, np.float32), GRID)
    assert overlay_row("a", empty, NOTHING, {}).hu.shape == (64, 64)


def test_each_method_gets_a_column_and_what_it_says_gets_an_outline() -> None:
    def picture(said: Mask) -> NDArray[np.uint8]:
        row = overlay_row("Dice 0.9", VOLUME, TRUTH, {"one": TRUTH, "two": said})
        return np.asarray(Image.open(BytesIO(encode_png(draw_overlays([row])))).convert("RGB"))

    both, one = picture(TRUTH), picture(NOTHING)
    assert both.shape == one.shape
    differs = np.argwhere((both != one).any(axis=2))
    # only in the fourth of four columns
    assert differs.size
    assert differs[:, 1].min() > both.shape[1] * 0.7
