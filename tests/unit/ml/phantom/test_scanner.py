"""What the scanner adds."""

from dataclasses import replace

import numpy as np
import pytest

from ml.phantom.pose import Scan
from ml.phantom.scanner import Imaging, Metal, sample_imaging, scanned

SCAN = Scan(num_slices=4, matrix=128)
QUIET = Imaging(
    noise_hu=0.0,
    cutoff_per_mm=0.35,
    blur_mm=1.0,
    offset_hu=0.0,
    streaks=(),
    holder_mm=None,
    holder_radius_mm=100.0,
)


def test_without_noise_holder_and_streaks_nothing_changes() -> None:
    clean = np.full((4, 128, 128), 35, np.float32)
    out = scanned(np.random.default_rng(0), clean, SCAN, QUIET)
    np.testing.assert_array_equal(out, clean)


def test_the_noise_has_the_deviation_asked_for_in_the_middle() -> None:
    clean = np.full((4, 128, 128), 35, np.float32)
    out = scanned(np.random.default_rng(0), clean, SCAN, replace(QUIET, noise_hu=4.0))
    middle = out[:, 54:74, 54:74] - 35
    assert middle.std() == pytest.approx(4 * 1.13, rel=0.2)
    assert out[:, :8].std() < 0.8 * middle.std(), "less noise far from the middle"


def test_the_noise_is_correlated_like_that_of_a_kernel() -> None:
    clean = np.zeros((4, 512, 512), np.float32)
    scan = Scan(num_slices=4, matrix=512)
    out = scanned(np.random.default_rng(0), clean, scan, replace(QUIET, noise_hu=4.0))
    assert np.corrcoef(out[0, :, :-1].ravel(), out[0, :, 1:].ravel())[0, 1] > 0.5


def test_values_stay_on_the_scale_of_ct() -> None:
    clean = np.full((4, 128, 128), -1020, np.float32)
    clean[2:] = 3070
    out = scanned(np.random.default_rng(0), clean, SCAN, replace(QUIET, noise_hu=20.0))
    assert out.min() == -1024
    assert out.max() == 3071


def test_the_holder_lies_in_the_air_behind_the_head_only() -> None:
    clean = np.full((4, 128, 128), -1000, np.float32)
    clean[:, 40:90, 40:90] = 35
    out = scanned(np.random.default_rng(0), clean, SCAN, replace(QUIET, holder_mm=-95.0))
    assert (out > 0).sum() > (clean > 0).sum()
    assert not (out[:, :64] > 60).any(), "nothing in front"
    np.testing.assert_array_equal(out[:, 40:90, 40:90], 35)


def test_thin_slices_are_noisier() -> None:
    thick, thin = (
        sample_imaging(
            np.random.default_rng(3), replace(SCAN, slice_step_mm=step), back_of_head_mm=95
        )
        for step in (5.0, 0.8)
    )
    assert thin.noise_hu > 2 * thick.noise_hu


def test_a_protocol_can_fix_noise_and_blur_and_leave_out_the_holder() -> None:
    scan = replace(SCAN, noise_hu=1.5, blur_mm=0.9, head_holder=False)
    imaging = sample_imaging(np.random.default_rng(3), scan, back_of_head_mm=95)
    assert (imaging.noise_hu, imaging.blur_mm, imaging.holder_mm) == (1.5, 0.9, None)


def test_metal_is_as_bright_as_the_scale_allows_and_streaks_lie_in_its_slices_only() -> None:
    clean = np.full((4, 128, 128), 35, np.float32)
    metal = Metal(
        across_mm=20.0,
        up_mm=10.0,
        radius_mm=4.0,
        first_slice=1,
        num_slices=2,
        streak_hu=80.0,
        beams=((0.3, 2.0, 1.0), (1.9, 2.0, -1.0)),
    )
    out = scanned(np.random.default_rng(0), clean, SCAN, replace(QUIET, metal=metal))
    row, column = 63.5 - 10 / SCAN.pixel_mm, 63.5 + 20 / SCAN.pixel_mm
    assert out[1, round(row), round(column)] == 3000
    np.testing.assert_array_equal(out[[0, 3]], 35)
    beside = out[1][(out[1] < 2000)]
    assert beside.max() > 60
    assert beside.min() < 10


def test_motion_doubles_edges_in_the_slices_during_which_the_head_moved() -> None:
    clean = np.zeros((4, 128, 128), np.float32)
    clean[:, :, 64:] = 100
    moved = replace(QUIET, motion_mm=(3 * SCAN.pixel_mm, 0.0), moved_slices=(2, 3))
    out = scanned(np.random.default_rng(0), clean, SCAN, moved)
    np.testing.assert_array_equal(out[[0, 1, 3]], clean[[0, 1, 3]])
    np.testing.assert_allclose(out[2, 50, 60:70], [0, 0, 0, 0, 50, 50, 50, 100, 100, 100])


def test_a_few_scans_have_metal_or_motion() -> None:
    rng = np.random.default_rng(1)
    drawn = [sample_imaging(rng, SCAN, back_of_head_mm=90) for _ in range(600)]
    assert 0.02 < np.mean([each.metal is not None for each in drawn]) < 0.09
    assert 0.04 < np.mean([each.motion_mm is not None for each in drawn]) < 0.13
