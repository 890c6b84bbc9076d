"""The midline of a slice: the line about which it is most like its own mirror image.

The correlation over all mirror lines of one direction is one Fourier transform of the rows, so that
a search over directions costs little (the same symmetry as Nijiati et al. 2022 use, by way of Liang
et al. 2021, without a network).
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ml.align.head import HeadSlices

# Axes: N slices, A angles, V values, S row or column

_COARSE = 2
"""The first search runs on every second pixel in each direction."""
_LARGEST_ROTATION_DEG = 40.0
_LARGEST_SHIFT_MM = 35.0
_COARSE_STEP_DEG, _FINE_STEP_DEG = 2.0, 1.0
_EDGE_PIXELS, _EDGE_GAIN = 7, 3.0
"""What differs from the mean of so many pixels around it counts this much more in the fine search:
edges tell a direction better than areas."""


@dataclass(frozen=True, eq=False)
class SliceMidlines:
    """The midline of each sampled slice, found in that slice alone; each of shape (N,).

    Attributes
    ----------
    rotation_deg
        As in `Alignment`.
    shift_mm
        Distance of the midline from the middle of the image along the turned left-right axis.
    likeness
        Correlation with the mirror image about that line, 0 to 1.
    """

    rotation_deg: NDArray[np.float64]
    shift_mm: NDArray[np.float64]
    likeness: NDArray[np.float64]


def slice_midlines(head: HeadSlices) -> SliceMidlines:
    """Find for each slice the line about which it is most like its mirror image."""
    image_NSS = head.images
    coarse_NSS = functional.avg_pool2d(image_NSS, _COARSE)
    angles = torch.arange(-_LARGEST_ROTATION_DEG, _LARGEST_ROTATION_DEG + 1e-6, _COARSE_STEP_DEG)
    around_AN = angles[:, None].expand(-1, len(image_NSS))
    likeness_AN, _ = _likeness(coarse_NSS, around_AN, head.pixel_mm * _COARSE)
    best_N = angles[likeness_AN.argmax(dim=0)]
    blurred_NSS = functional.avg_pool2d(
        image_NSS[:, None], _EDGE_PIXELS, stride=1, padding=_EDGE_PIXELS // 2
    )[:, 0]
    edged_NSS = image_NSS + _EDGE_GAIN * (image_NSS - blurred_NSS)
    angles = torch.arange(-1.5 * _COARSE_STEP_DEG, 1.5 * _COARSE_STEP_DEG + 1e-6, _FINE_STEP_DEG)
    around_AN = best_N + angles[:, None]
    likeness_AN, _ = _likeness(edged_NSS, around_AN, head.pixel_mm)
    peak_N = likeness_AN.argmax(dim=0)
    best_N = around_AN.gather(0, peak_N[None])[0]
    best_N = best_N + _FINE_STEP_DEG * _peak_offsets(likeness_AN.T, peak_N)
    likeness_AN, shift_AN = _likeness(image_NSS, best_N[None], head.pixel_mm)
    return SliceMidlines(
        rotation_deg=best_N.numpy().astype(np.float64),
        shift_mm=shift_AN[0].numpy().astype(np.float64),
        likeness=likeness_AN[0].numpy().astype(np.float64),
    )


def _likeness(images_NSS: Tensor, angles_deg_AN: Tensor, pixel_mm: float) -> tuple[Tensor, Tensor]:
    """Compare turned images with their mirror images.

    Returns
    -------
    likeness_AN : Tensor
        Correlation with the mirror image at the best mirror line of each image, 0 to 1.
    shift_AN : Tensor
        Distance of that line from the middle of the image, mm.
    """
    size = images_NSS.shape[-1]
    count = 2 * size
    # mirrored about c, column x falls on 2c - x: the convolution of a row with itself at 2c
    twice = torch.arange(count)
    centres_mm = (twice / 2 - (size - 1) / 2) * pixel_mm
    allowed = centres_mm.abs() <= _LARGEST_SHIFT_MM
    likeness, shifts = [], []
    for angle_deg_N in angles_deg_AN:
        turned_NSS = _turn(images_NSS, angle_deg_N)
        spectrum = torch.fft.rfft(turned_NSS, n=count, dim=2)
        overlap = torch.fft.irfft((spectrum * spectrum).sum(dim=1), n=count, dim=1)
        energy_N = (turned_NSS * turned_NSS).sum(dim=(1, 2)).clamp_min(1e-6)
        overlap = overlap.masked_fill(~allowed, 0) / energy_N[:, None]
        best_N, peak_N = overlap.max(dim=1)
        likeness.append(best_N)
        shifts.append(centres_mm[peak_N] + _peak_offsets(overlap, peak_N) / 2 * pixel_mm)
    return torch.stack(likeness), torch.stack(shifts)


def _turn(images_NSS: Tensor, angle_deg_N: Tensor) -> Tensor:
    """Sample each image along axes turned by an angle, as `Alignment.axes` are."""
    turn_N = torch.deg2rad(angle_deg_N)
    cos_N, sin_N, nought_N = turn_N.cos(), turn_N.sin(), torch.zeros_like(turn_N)
    # source (x, y) of result (x, y): x' = cos x - sin y, y' = sin x + cos y
    rows = (torch.stack([cos_N, -sin_N, nought_N], 1), torch.stack([sin_N, cos_N, nought_N], 1))
    where = functional.affine_grid(
        torch.stack(rows, 1), [len(turn_N), 1, *images_NSS.shape[1:]], align_corners=False
    )
    return functional.grid_sample(images_NSS[:, None], where, align_corners=False)[:, 0]


def _peak_offsets(values_NV: Tensor, peak_N: Tensor) -> Tensor:
    """Distance from the largest sample to the top of the parabola through it, in samples."""
    inner_N = peak_N.clamp(1, values_NV.shape[1] - 2)
    before, top, after = (values_NV.gather(1, (inner_N + k)[:, None])[:, 0] for k in (-1, 0, 1))
    curvature = before - 2 * top + after
    offset = (before - after) / (2 * curvature)
    return torch.where((curvature < 0) & (inner_N == peak_N), offset, 0.0).clamp(-1, 1)
