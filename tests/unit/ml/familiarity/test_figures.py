"""What is measured of a head is what the head was made with."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from ml.familiarity import FIGURES, describe
from ml.plane import Alignment
from ml.preprocess import AlignedVolume, InputSpec, resample
from ml.volume import Volume
from tests.support.heads import BLOOD_HU, BONE_HU, BRAIN_HU, Head, Storage, axial_grid

# the pixels of the source are those of the aligned image, so that nothing is interpolated
SPEC = InputSpec(size=128, pixel_mm=1.8)
GRID = axial_grid(num_slices=16, step_mm=8.0)
HEAD = Head(holder=False, bleed_left_mm=500.0)


def aligned(
    head: Head = HEAD, *, noise_hu: float = 3.0, volume: Volume | None = None
) -> AlignedVolume:
    scan = head.volume(GRID, noise_hu=noise_hu) if volume is None else volume
    return resample(scan, Alignment.identity(scan.grid), SPEC)


def described(noise_hu: float = 3.0) -> dict[str, float]:
    return describe(aligned(noise_hu=noise_hu))


def test_a_head_has_a_value_for_every_figure() -> None:
    figures = described()
    assert set(figures) == set(FIGURES)
    assert all(math.isfinite(value) for value in figures.values())


def test_brain_and_bone_have_their_brightness() -> None:
    figures = described()
    assert figures["brain_50_hu"] == pytest.approx(BRAIN_HU, abs=1)
    assert figures["brain_05_hu"] < figures["brain_25_hu"] < figures["brain_75_hu"]
    assert figures["bone_hu"] == pytest.approx(BONE_HU, rel=0.02)


@pytest.mark.parametrize("noise_hu", [2.0, 6.0, 15.0])
def test_noise_is_measured(noise_hu: float) -> None:
    figures = described(noise_hu)
    assert figures["noise_hu"] == pytest.approx(noise_hu, rel=0.05)
    # white noise is the same at any distance
    assert figures["noise_grain"] == pytest.approx(1, abs=0.05)


def test_a_smooth_kernel_shows_in_grain_and_edges() -> None:
    sharp = aligned()
    smooth = replace(sharp, hu=ndimage.gaussian_filter(sharp.hu, (0, 1, 1)))
    before, after = describe(sharp), describe(smooth)
    assert after["noise_grain"] > 1.5 * before["noise_grain"]
    assert after["bone_edge_hu_per_mm"] < 0.8 * before["bone_edge_hu_per_mm"]
    assert before["rim_percent"] == 0
    assert after["rim_percent"] > 3


def test_the_cavity_has_its_size() -> None:
    figures = described()
    assert figures["cavity_width_mm"] == pytest.approx(132, abs=6)
    assert figures["cavity_length_mm"] == pytest.approx(170, abs=6)
    # an ellipsoid of 66 x 85 x 83 mm, cut 64 mm above and below its middle
    height = 64 / 83
    volume_ml = math.pi * 66 * 85 * 83 * 2 * (height - height**3 / 3) / 1000
    assert figures["cavity_ml"] == pytest.approx(volume_ml, rel=0.06)


def test_a_large_bleed_changes_its_share_and_not_the_look_of_the_brain() -> None:
    scan = HEAD.volume(GRID, noise_hu=3.0)
    positions = GRID.positions_mm(np.argwhere(np.ones(GRID.shape)).astype(float))
    inside = np.linalg.norm(positions - (30.0, 10.0, 0.0), axis=1).reshape(GRID.shape) < 28
    noise = scan.hu - HEAD.volume(GRID, noise_hu=0).hu
    bleeding = Volume(np.where(inside, BLOOD_HU + noise, scan.hu).astype(np.float32), GRID)
    before, after = describe(aligned(volume=scan)), describe(aligned(volume=bleeding))
    assert after["dense_percent"] > 3 > before["dense_percent"]
    for name in ("brain_25_hu", "brain_50_hu", "brain_75_hu", "brain_95_hu", "noise_hu"):
        assert after[name] == pytest.approx(before[name], rel=0.03, abs=0.3)
    assert after["cavity_ml"] == pytest.approx(before["cavity_ml"], rel=0.01)


def test_air_and_metal_within_the_cavity_are_seen() -> None:
    scan = HEAD.volume(GRID, noise_hu=3.0)
    for hu, name in ((-1000, "air_percent"), (3000, "denser_percent")):
        strange = scan.hu.copy()
        strange[7:9, 60:70, 60:70] = hu
        volume = Volume(strange, GRID)
        assert describe(aligned(volume=volume))[name] > 0.2 > described()[name]


def test_a_head_that_is_not_symmetric_is_less_like_its_mirror_image() -> None:
    even = aligned()
    shaded = even.hu + np.linspace(-20, 20, 128, dtype=np.float32)
    assert describe(replace(even, hu=shaded))["mirror_likeness"] < (
        describe(even)["mirror_likeness"] - 0.3
    )


@pytest.mark.parametrize("way", [Storage(slices_reversed=True), Storage(True, True, False, True)])
def test_the_way_of_storing_changes_nothing(way: Storage) -> None:
    stored = describe(aligned(volume=way.volume(HEAD.volume(GRID, noise_hu=3.0))))
    assert stored == pytest.approx(described(), rel=1e-3, abs=1e-3)


def test_a_long_stack_is_described_by_some_of_its_slices() -> None:
    thin = axial_grid(num_slices=128, step_mm=1.0)
    figures = describe(aligned(volume=HEAD.volume(thin, noise_hu=3.0)))
    coarse = described()
    assert figures["slice_step_mm"] == 1.0
    assert figures["cavity_ml"] == pytest.approx(coarse["cavity_ml"], rel=0.05)
    assert figures["noise_hu"] == pytest.approx(3, rel=0.05)


def test_a_source_finer_than_the_network_sees_is_nothing_unusual() -> None:
    assert describe(aligned())["pixel_mm"] == 1.8
    finer = replace(aligned(), spec=replace(SPEC, pixel_mm=2.5))
    assert describe(finer)["pixel_mm"] == 2.5


@pytest.mark.parametrize("hu", [-1000.0, 35.0, 1000.0])
def test_without_a_skull_only_the_spacing_is_known(hu: float) -> None:
    nothing = replace(aligned(), hu=np.full((16, 128, 128), hu, np.float32))
    measured = {name for name, value in describe(nothing).items() if math.isfinite(value)}
    assert measured == {"slice_step_mm", "pixel_mm"}
