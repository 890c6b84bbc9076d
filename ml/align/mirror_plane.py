"""The plane about which a head is most like its mirror image in space.

The slices of a head that leans to one side are not symmetric, and the outline of an ovoid leans
less than its midline. In space the head is symmetric however it lies.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ml.align.head import HeadSlices
from ml.plane import plane_axes

# Axes: N slices, S row or column, P pairs of points

_AVERAGED = 2
"""Pixels averaged in each direction: less noise."""
_PASSES = ((7.5, 20), (5.0, 8))
"""Millimetres between points, and the most steps, of each pass."""
_PROBE = (0.3, 0.005, 0.3)
"""Changes of the plane (degrees, mm per mm, mm) by which differences are differentiated."""
_STILL = (0.02, 2e-4, 0.02)
"""Smaller steps end a pass."""
_OVERSHOOT = 1.6
"""Noise in the derivatives makes the steps of Gauss and Newton too short."""
_UNLIKE = 0.05
"""Share of the window by which the two sides differ where a pair of points has half its weight:
bleeds, infarcts and swollen skin should not move the plane."""


@dataclass(frozen=True, eq=False)
class _Space:
    """A stack of images between which one can interpolate.

    Points are (right, down, up) in mm; at height 0 they are counted from the middle of the image.
    """

    images: Tensor
    height_mm: NDArray[np.float64]
    """Shape (N,), rising."""
    half_mm: float
    """From the middle of the image to its edge."""
    shear: NDArray[np.float64]
    """Shape (2,): how far the middle of the image moves to the right and down for each mm up."""

    def at(self, points_mm: NDArray[np.float64]) -> NDArray[np.float32]:
        """Interpolate between voxels, shape (...) for (..., 3); NaN above and below the stack."""
        up_mm = points_mm[..., 2]
        last = len(self.height_mm) - 1
        index = np.interp(up_mm, self.height_mm, np.arange(last + 1), left=-1, right=last + 1)
        where = np.empty(points_mm.shape, np.float32)
        where[..., :2] = (points_mm[..., :2] - up_mm[..., None] * self.shear) / self.half_mm
        where[..., 2] = (2 * index + 1) / (last + 1) - 1
        value = functional.grid_sample(
            self.images[None, None],
            torch.from_numpy(where.reshape(1, 1, 1, -1, 3)),
            align_corners=False,
        )
        values: NDArray[np.float32] = value.numpy().reshape(up_mm.shape)
        values[(index < 0) | (index > last)] = np.nan
        return values


def mirror_plane(head: HeadSlices, line: NDArray[np.float64]) -> NDArray[np.float64]:
    """Move a plane until both sides of the head are alike; takes and returns what `fit_line` does.

    Differences between points on both sides are made small by the method of Gauss and Newton. Both
    points of a pair are interpolated: a voxel compared with an interpolated one would favour planes
    that lie on the grid.
    """
    in_plane_mm = head.centre_mm @ plane_axes(head.grid)[::-1].T
    shear = np.polyfit(head.height_mm, in_plane_mm, 1)[0]
    order = np.argsort(head.height_mm[head.slices])
    height_mm = head.height_mm[head.slices][order]
    half_mm = head.pixel_mm * head.images.shape[-1] / 2
    image_NSS = functional.avg_pool2d(head.images[torch.from_numpy(order)], _AVERAGED)
    space = _Space(image_NSS, height_mm, half_mm, shear)
    plane = line + _leaning(line, shear)
    for spacing_mm, most_steps in _PASSES:
        pairs_P3 = _lattice(space, spacing_mm)
        pairs_P3 = pairs_P3[(_sides(space, pairs_P3, plane) > 0).any(axis=0)]
        for _ in range(most_steps):
            step = _OVERSHOOT * _newton_step(space, pairs_P3, plane)
            plane = plane + step
            if (np.abs(step) < _STILL).all():
                break
    return plane - _leaning(plane, shear)


def _leaning(line: NDArray[np.float64], shear: NDArray[np.float64]) -> NDArray[np.float64]:
    """Say what the shear of a stack adds to the slope of shifts counted from its images."""
    turn = np.deg2rad(line[0])
    return np.array([0.0, np.cos(turn) * shear[0] + np.sin(turn) * shear[1], 0.0])


def _lattice(space: _Space, spacing_mm: float) -> NDArray[np.float64]:
    """Pairs of points: distance of both from the plane, then down and up within it; (P, 3), mm."""
    reach_mm = 0.9 * space.half_mm
    low_mm, high_mm = space.height_mm[[0, -1]]
    axes = (
        np.arange(spacing_mm / 2, 0.8 * reach_mm, spacing_mm),
        np.arange(-reach_mm, reach_mm, spacing_mm),
        np.arange(low_mm - 15, high_mm + 15, spacing_mm),
    )
    pairs: NDArray[np.float64] = np.stack([axis.ravel() for axis in np.meshgrid(*axes)], axis=-1)
    return pairs


def _sides(
    space: _Space, pairs_P3: NDArray[np.float64], plane: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Values on both sides of a plane, shape (2, P); NaN in the whole pair if one is unknown."""
    turn, slope, shift_mm = np.deg2rad(plane[0]), plane[1], plane[2]
    right, down = np.cos(turn), np.sin(turn)
    steep = np.hypot(1, slope)
    normal = np.array([right, down, -slope]) / steep
    within = np.array(
        [[-down, right, 0.0], [slope * right / steep, slope * down / steep, 1 / steep]]
    )
    foot = shift_mm * np.array([right, down, 0.0]) + pairs_P3[:, 1:] @ within
    away = pairs_P3[:, :1] * normal
    values = space.at(np.stack([foot + away, foot - away]))
    values += 0 * values[::-1]
    return values


def _newton_step(
    space: _Space, pairs_P3: NDArray[np.float64], plane: NDArray[np.float64]
) -> NDArray[np.float64]:
    """One step towards the plane with the least differences; Cauchy weights against outliers."""

    def differences(of: NDArray[np.float64]) -> NDArray[np.float64]:
        sides = _sides(space, pairs_P3, of).astype(np.float64)
        apart: NDArray[np.float64] = sides[0] - sides[1]
        return apart

    now = differences(plane)
    # taken on both sides: to one side alone, the noise that they share with `now` would push
    slopes = np.stack(
        [
            (differences(plane + probe) - differences(plane - probe)) / (2 * probe[k])
            for k, probe in enumerate(np.diag(_PROBE))
        ],
        axis=1,
    )
    known = np.isfinite(slopes).all(axis=1) & np.isfinite(now)
    now, slopes = now[known], slopes[known]
    weighted = slopes / (1 + (now / _UNLIKE) ** 2)[:, None]
    step: NDArray[np.float64] = np.linalg.lstsq(weighted.T @ slopes, -weighted.T @ now)[0]
    return step
