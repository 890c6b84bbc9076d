"""Random fields."""

import numpy as np
import pytest

from ml.phantom.texture import sample_texture, upsample


def test_a_symmetric_texture_is_its_own_mirror_image() -> None:
    rng = np.random.default_rng(0)
    texture = sample_texture(rng, blob_mm=9, symmetry=1)
    x, y, z = rng.uniform(-90, 90, (3, 50)).astype(np.float32)
    np.testing.assert_allclose(texture.at((x, y, z)), texture.at((-x, y, z)), atol=1e-4)


def test_an_asymmetric_texture_differs_between_the_sides() -> None:
    rng = np.random.default_rng(0)
    texture = sample_texture(rng, blob_mm=9, symmetry=0)
    x, y, z = rng.uniform(-90, 90, (3, 500)).astype(np.float32)
    left, right = texture.at((x, y, z)), texture.at((-x, y, z))
    assert abs(np.corrcoef(left, right)[0, 1]) < 0.3


def test_a_texture_repeats_after_its_period_and_has_unit_deviation() -> None:
    texture = sample_texture(np.random.default_rng(1), blob_mm=12, symmetry=0.5, period_mm=200)
    x = np.linspace(-50, 50, 40, dtype=np.float32)
    zero = np.zeros_like(x)
    np.testing.assert_allclose(
        texture.at((x, zero, zero)), texture.at((x + 200, zero, zero - 200)), atol=1e-3
    )
    assert texture.lattice.std() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_upsampling_keeps_a_plane_where_neighbours_exist(factor: int) -> None:
    def tilted(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        return (0.3 * rows[:, None] - 0.7 * columns[None, :] + 2).astype(np.float32)

    centres = (np.arange(12) + 0.5) * factor - 0.5
    fine = np.arange(12 * factor, dtype=float)
    enlarged = upsample(tilted(centres, centres), factor)
    inner = slice(2 * factor, -2 * factor)
    np.testing.assert_allclose(enlarged[inner, inner], tilted(fine, fine)[inner, inner], atol=1e-4)
