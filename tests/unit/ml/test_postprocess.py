"""Connected lesions, and what is too small."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ml.postprocess import clean, lesions
from ml.volume import Grid, Mask, Subtype
from tests.support.heads import axial_grid

# 1 x 1 x 5 mm voxels: 200 of them are one millilitre
GRID = axial_grid(num_slices=6, size=32, pixel_mm=1.0, step_mm=5.0)


def painted(*blocks: tuple[Subtype, tuple[slice, slice, slice]], grid: Grid = GRID) -> Mask:
    labels = np.zeros(grid.shape, np.uint8)
    for subtype, box in blocks:
        labels[box] = subtype
    return Mask(labels, grid)


def box(slices: slice, rows: slice, columns: slice) -> tuple[slice, slice, slice]:
    return slices, rows, columns


LARGE = box(slice(1, 4), slice(2, 12), slice(2, 12))
APART = box(slice(1, 2), slice(20, 22), slice(20, 22))
TOUCHING = box(slice(2, 3), slice(4, 6), slice(12, 14))


def test_lesions_come_largest_first_with_their_true_volume() -> None:
    mask = painted((Subtype.SDH, APART), (Subtype.SDH, LARGE))
    first, second = lesions(mask, Subtype.SDH)
    assert first.volume_ml == pytest.approx(300 * 0.005)
    assert second.volume_ml == pytest.approx(4 * 0.005)
    assert first.box == LARGE
    assert second.box == APART
    assert second.inside.all()


def test_lesions_of_another_subtype_are_not_seen() -> None:
    mask = painted((Subtype.SDH, LARGE))
    assert lesions(mask, Subtype.EDH) == ()


def test_voxels_that_touch_at_a_corner_are_one_lesion() -> None:
    mask = painted(
        (Subtype.IPH, box(slice(0, 1), slice(4, 5), slice(4, 5))),
        (Subtype.IPH, box(slice(1, 2), slice(5, 6), slice(5, 6))),
        (Subtype.IPH, box(slice(3, 4), slice(6, 7), slice(6, 7))),
    )
    assert [lesion.inside.sum() for lesion in lesions(mask, Subtype.IPH)] == [2, 1]


def test_lesions_together_are_the_mask(rng: np.random.Generator) -> None:
    labels = (rng.uniform(size=GRID.shape) < 0.05).astype(np.uint8) * 4
    together = np.zeros(GRID.shape, np.int64)
    for lesion in lesions(Mask(labels, GRID), Subtype.SDH):
        together[lesion.box] += lesion.inside
    np.testing.assert_array_equal(together, labels > 0)


def test_the_volume_of_a_lesion_follows_changing_spacing() -> None:
    grid = axial_grid(heights_mm=np.array([0.0, 4.0, 5.0, 12.0]), size=32, pixel_mm=1.0)
    mask = painted((Subtype.IPH, box(slice(2, 4), slice(0, 5), slice(0, 2))), grid=grid)
    assert lesions(mask, Subtype.IPH)[0].volume_ml == pytest.approx(10 * (4.0 + 7.0) / 1000)


def test_what_is_small_and_apart_is_dropped() -> None:
    mask = painted((Subtype.SDH, LARGE), (Subtype.SDH, APART), (Subtype.SAH, APART))
    cleaned = clean(mask, minimum_ml=dict.fromkeys(Subtype, 0.1))
    np.testing.assert_array_equal(cleaned.labels, painted((Subtype.SDH, LARGE)).labels)
    assert cleaned.grid is mask.grid


def test_a_lesion_of_exactly_the_minimum_stays() -> None:
    mask = painted((Subtype.SDH, APART))
    exactly = lesions(mask, Subtype.SDH)[0].volume_ml
    assert clean(mask, minimum_ml={Subtype.SDH: exactly}).labels.any()
    assert not clean(mask, minimum_ml={Subtype.SDH: exactly * 1.01}).labels.any()


def test_each_subtype_has_its_own_minimum() -> None:
    other = box(slice(4, 5), slice(20, 22), slice(20, 22))
    mask = painted((Subtype.SDH, APART), (Subtype.IVH, other))
    cleaned = clean(mask, minimum_ml={Subtype.SDH: 0.5})
    np.testing.assert_array_equal(cleaned.labels, painted((Subtype.IVH, other)).labels)


def test_a_small_part_of_a_large_bleed_takes_its_subtype() -> None:
    mask = painted((Subtype.SDH, LARGE), (Subtype.SAH, TOUCHING))
    cleaned = clean(mask, minimum_ml=dict.fromkeys(Subtype, 0.1))
    assert (cleaned.labels[TOUCHING] == Subtype.SDH).all()
    assert (cleaned.labels > 0).sum() == (mask.labels > 0).sum()


def test_the_subtype_that_is_touched_most_wins() -> None:
    mask = painted(
        (Subtype.IPH, box(slice(0, 6), slice(0, 10), slice(0, 10))),
        (Subtype.IVH, box(slice(0, 6), slice(0, 10), slice(12, 22))),
        (Subtype.EDH, box(slice(2, 3), slice(3, 6), slice(9, 12))),
    )
    cleaned = clean(mask, minimum_ml=dict.fromkeys(Subtype, 0.2))
    assert (cleaned.labels[2:3, 3:6, 9:12] == Subtype.IPH).all()


def test_small_parts_do_not_hold_each_other() -> None:
    beside = box(slice(1, 2), slice(22, 24), slice(20, 22))
    mask = painted((Subtype.SDH, APART), (Subtype.SAH, beside))
    assert not clean(mask, minimum_ml=dict.fromkeys(Subtype, 0.1)).labels.any()


def test_only_what_touches_a_kept_lesion_itself_joins_it() -> None:
    further = box(slice(2, 3), slice(4, 6), slice(14, 16))
    mask = painted((Subtype.SDH, LARGE), (Subtype.IPH, TOUCHING), (Subtype.SAH, further))
    cleaned = clean(mask, minimum_ml=dict.fromkeys(Subtype, 0.1))
    assert (cleaned.labels[TOUCHING] == Subtype.SDH).all()
    assert not cleaned.labels[further].any()


def test_a_small_part_at_the_border_joins_its_bleed_too() -> None:
    corner = box(slice(0, 1), slice(0, 2), slice(0, 2))
    large = box(slice(0, 6), slice(0, 10), slice(2, 12))
    mask = painted((Subtype.IVH, large), (Subtype.IPH, corner))
    cleaned = clean(mask, minimum_ml=dict.fromkeys(Subtype, 0.1))
    assert (cleaned.labels[corner] == Subtype.IVH).all()


def test_the_mask_itself_is_not_changed() -> None:
    mask = painted((Subtype.SDH, APART))
    clean(mask, minimum_ml=dict.fromkeys(Subtype, 1.0))
    assert mask.labels[APART].all()


def test_lesions_at_the_border_are_handled() -> None:
    corner = box(slice(0, 1), slice(0, 1), slice(0, 1))
    edge = box(slice(5, 6), slice(31, 32), slice(31, 32))
    mask = painted((Subtype.SDH, corner), (Subtype.IPH, edge))
    assert not clean(mask, minimum_ml=dict.fromkeys(Subtype, 1.0)).labels.any()
    assert len(lesions(mask, Subtype.IPH)) == 1


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_an_empty_mask_stays_empty() -> None:
    empty: NDArray[np.uint8] = np.zeros(GRID.shape, np.uint8)
    assert not clean(Mask(empty, GRID), minimum_ml={}).labels.any()
