"""Heads pass whatever the noise, tilt and order; what is no whole plain head does not."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from config.errors import QualityError, Reason
from ml.quality import check_head
from ml.volume import Grid, Volume
from tests.support.ct_series import PRONE, SEEN_FROM_ABOVE, even_heights, stack
from tests.support.heads import BONE_HU, BRAIN_HU, Head

HEAD = Head(holder=False)
GRID = stack(even_heights(40))


@pytest.fixture(scope="module")
def head() -> Volume:
    return HEAD.volume(GRID)


def _cut(volume: Volume, kept: slice) -> Volume:
    grid = volume.grid
    origins = grid.slice_origins_mm[kept]
    part = Grid(origins, grid.row_direction, grid.column_direction, grid.pixel_spacing_mm,
                grid.rows, grid.columns)  # fmt: skip
    return Volume(volume.hu[kept], part)


def _changed(
    volume: Volume, change: Callable[[NDArray[np.float32]], NDArray[np.floating]]
) -> Volume:
    return Volume(change(volume.hu.copy()).astype(np.float32), volume.grid)


def _refused(volume: Volume, reason: Reason = Reason.QUALITY) -> str:
    with pytest.raises(QualityError) as refused:
        check_head(volume)
    assert refused.value.reason is reason
    return str(refused.value)


@pytest.mark.parametrize("noise_hu", [0.0, 5.0, 15.0])
def test_a_head_passes_whatever_the_noise(noise_hu: float) -> None:
    check_head(HEAD.volume(GRID, noise_hu=noise_hu, seed=1))


@pytest.mark.parametrize(
    "grid",
    [
        stack(even_heights(40), tilt_deg=20),
        stack(even_heights(40)[::-1]),
        stack(even_heights(40), directions=PRONE),
        stack(even_heights(40)[::-1], directions=SEEN_FROM_ABOVE),
        stack(even_heights(160, 1.25)),
        stack(even_heights(40), size=128, pixel_mm=1.8),
        stack(np.append(even_heights(24, 4.0) - 50, even_heights(21, 7.0) + 70)),
    ],
    ids=["tilted", "falling", "prone", "seen from above", "thin", "fine", "uneven"],
)
def test_a_head_passes_on_any_grid(grid: Grid) -> None:
    check_head(HEAD.volume(grid))


def test_a_turned_head_passes() -> None:
    check_head(Head(turned_deg=25, left_mm=15, back_mm=-10).volume(GRID))


def test_a_head_passes_without_the_skull_of_one_side(head: Volume) -> None:
    def opened(hu: NDArray[np.float32]) -> NDArray[np.float32]:
        flap = hu[:, 6:58, :28]
        flap[flap > BONE_HU / 2] = BRAIN_HU
        return hu

    check_head(_changed(head, opened))


def test_an_empty_skull_is_no_head(head: Volume) -> None:
    message = _refused(_changed(head, lambda hu: np.where((hu > -20) & (hu < 110), -1000, hu)))
    assert "a brain has at least 400 ml" in message


def test_a_ball_of_tissue_without_bone_is_no_head(head: Volume) -> None:
    assert "surrounds 0 ml" in _refused(_changed(head, lambda hu: np.minimum(hu, 120)))


def test_a_skull_full_of_something_denser_than_brain_is_no_head(head: Volume) -> None:
    assert "at least 400 ml" in _refused(
        _changed(head, lambda hu: np.where(np.abs(hu - 35) < 80, hu + 75, hu))
    )


def test_more_tissue_than_a_head_holds_is_no_head() -> None:
    wide = HEAD.volume(stack(even_heights(40), pixel_mm=3.6))
    grid = stack(even_heights(40), pixel_mm=4.6)
    assert "a head at most" in _refused(Volume(wide.hu, grid))


def test_values_that_are_no_hounsfield_units_are_refused(head: Volume) -> None:
    shifted = _changed(head, lambda hu: hu + 1024)
    assert "not in Hounsfield units" in _refused(shifted, Reason.FORMAT)
    assert "without a value" in _refused(_changed(head, lambda hu: np.where(hu > 900, np.nan, hu)))


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 24.0), (1.0, -24.0), (1.6, 0.0)])
def test_values_with_a_wrong_slope_or_intercept_are_refused(
    head: Volume, slope: float, intercept: float
) -> None:
    wrong = _changed(head, lambda hu: np.maximum(slope * hu + intercept, -1024))
    assert "The median within bone is" in _refused(wrong, Reason.FORMAT)


def test_a_single_slice_is_no_head(head: Volume) -> None:
    assert "fewer than two slices" in _refused(_cut(head, slice(20, 21)))


@pytest.mark.parametrize("reverse", [False, True])
def test_a_head_cut_off_above_or_below_is_told(head: Volume, *, reverse: bool) -> None:
    step = -1 if reverse else 1
    assert "vertex" in _refused(_cut(_cut(head, slice(0, 30)), slice(None, None, step)))
    assert "posterior fossa" in _refused(_cut(_cut(head, slice(14, 40)), slice(None, None, step)))


def test_enhanced_vessels_are_told_and_a_calcified_pineal_gland_is_not(head: Volume) -> None:
    def pineal(hu: NDArray[np.float32]) -> NDArray[np.float32]:
        hu[20:22, 34:37, 31:34] = 180
        return hu

    def vessels(hu: NDArray[np.float32]) -> NDArray[np.float32]:
        hu[16:24, 24:42:6, 22:42:4] = 220
        return hu

    check_head(_changed(head, pineal))
    assert "contrast medium" in _refused(_changed(head, vessels))


def test_a_large_bleed_is_no_contrast_medium(head: Volume) -> None:
    def bleed(hu: NDArray[np.float32]) -> NDArray[np.float32]:
        hu[16:26, 26:40, 22:32] = 85
        return hu

    check_head(_changed(head, bleed))


@pytest.mark.parametrize("nothing_hu", [-1024.0, 0.0, 35.0])
@pytest.mark.parametrize(("spacing_mm", "num_lost"), [(5.0, 1), (5.0, 5), (1.25, 2)])
def test_slices_that_show_nothing_are_told(
    nothing_hu: float, spacing_mm: float, num_lost: int
) -> None:
    volume = HEAD.volume(stack(even_heights(round(200 / spacing_mm), spacing_mm)))
    lost = round(100 / spacing_mm)

    def emptied(hu: NDArray[np.float32]) -> NDArray[np.float32]:
        hu[lost : lost + num_lost] = nothing_hu
        return hu

    assert "images are damaged" in _refused(_changed(volume, emptied))


def test_a_slice_of_noise_is_told(head: Volume) -> None:
    def noisy(hu: NDArray[np.float32]) -> NDArray[np.float32]:
        hu[20] = np.random.default_rng(1).uniform(-1024, 3071, hu[20].shape)
        return hu

    assert "1 of 40 slices show less" in _refused(_changed(head, noisy))


@pytest.mark.parametrize("nothing_hu", [-1024.0, 0.0])
@pytest.mark.parametrize(
    "lost",
    [np.s_[:, 36:], np.s_[:, :24], np.s_[:, :, :28], np.s_[:, :, 30:], np.s_[20, 36:]],
    ids=["back", "front", "right", "left", "of one slice"],
)
def test_a_head_of_which_a_part_is_lost_is_told(
    head: Volume, lost: tuple[int | slice, ...], nothing_hu: float
) -> None:
    def emptied(hu: NDArray[np.float32]) -> NDArray[np.float32]:
        hu[lost] = nothing_hu
        return hu

    assert "part of the head is not shown" in _refused(_changed(head, emptied))


@pytest.mark.parametrize("away_mm", [-40.0, 40.0])
def test_a_head_that_runs_out_of_the_image_is_told(away_mm: float) -> None:
    for head in (Head(holder=False, left_mm=away_mm), Head(holder=False, back_mm=away_mm)):
        narrow = stack(even_heights(40), size=56)
        assert "part of the head is not shown" in _refused(head.volume(narrow, noise_hu=5.0))


def test_a_head_that_just_fits_in_the_image_passes() -> None:
    check_head(HEAD.volume(stack(even_heights(40), size=56), noise_hu=5.0))
