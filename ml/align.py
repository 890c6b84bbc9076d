"""Finding the midline of the head: mirror correlation, one rotation, a shift that is linear in z.

Only the rotation within the plane and the left-right shift of a slice can be seen in it. Each of
about a dozen slices is compared with its own mirror image; the correlation over all mirror lines of
one direction is one Fourier transform of the rows, so that a search over directions costs little
(the same symmetry as Nijiati et al. 2022 use, by way of Liang et al. 2021, without a network).
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from ml.plane import Alignment, image_centres_mm, plane_axes, sample_hu, superior_normal
from ml.volume import Grid, Volume

__all__ = ["Alignment", "align"]

# Axes: N sampled slices, A angles, S row or column of the sampled slice

_MOST_SLICES = 14
_SIZE = 128
_COARSE = 2
"""The first search runs on every second pixel in each direction."""
_HEAD_MM = 270.0
"""Field of view of the search; holds a head of any size."""

_TISSUE_HU = 0.0
_BONE_HU = 150.0
_WINDOW_HU = (-30.0, 120.0)
_SMALLEST_HEAD_MM2 = 3000.0
_SMALLEST_BONE_MM2 = 200.0
_OPENING_MM = 5.0
"""What is thinner and touches the head is cut off: shells of head holders."""

_LARGEST_ROTATION_DEG = 40.0
_LARGEST_SHIFT_MM = 35.0
_COARSE_STEP_DEG = 2.0
_FINE_STEP_DEG = 0.5


def align(volume: Volume) -> Alignment:
    """Find the midline of the head in a volume.

    Parameters
    ----------
    volume
        A head CT of any orientation; slices nearly axial.

    Returns
    -------
    Alignment
        One rotation for all slices and a shift linear in the position along the normal, from the
        slices that show a head; its centre is the middle of the head. `Alignment.identity` where
        no slice shows a head.
    """
    grid = volume.grid
    chosen = np.unique(np.linspace(0, grid.shape[0] - 1, _MOST_SLICES).round().astype(np.intp))
    unturned = Alignment(0.0, np.zeros(grid.shape[0]), _centre_line_mm(grid))
    extent_mm = max(grid.rows * grid.pixel_spacing_mm[0], grid.columns * grid.pixel_spacing_mm[1])
    pixel_mm = extent_mm / _SIZE
    hu = sample_hu(volume.hu, grid, unturned, size=_SIZE, pixel_mm=pixel_mm, slices=chosen)
    middles_mm = _head_middle_mm(np.stack([_head(each, pixel_mm) for each in hu]), pixel_mm)
    if middles_mm is None:
        return Alignment.identity(grid)

    down, right = plane_axes(grid)
    centre_mm = unturned.centre_mm + middles_mm[0] * down + middles_mm[1] * right
    centred = Alignment(0.0, np.zeros(grid.shape[0]), centre_mm)
    pixel_mm = _HEAD_MM / _SIZE
    hu = sample_hu(volume.hu, grid, centred, size=_SIZE, pixel_mm=pixel_mm, slices=chosen)
    heads = np.stack([_head(each, pixel_mm) for each in hu])
    shown = heads.any(axis=(1, 2))
    if not shown.any():
        return Alignment.identity(grid)
    rotation_deg, shifts_mm = _mirror_lines(hu[shown], heads[shown], pixel_mm)
    heights_mm = grid.slice_origins_mm @ superior_normal(grid)
    weights = heads[shown].sum(axis=(1, 2)).astype(np.float64)
    line = _robust_line(heights_mm[chosen[shown]], shifts_mm, weights)
    # beyond the slices that show a head the line would only be extrapolated
    seen_mm = heights_mm[chosen[shown]]
    within_mm = np.clip(heights_mm, seen_mm.min(), seen_mm.max())
    shift_mm = line[0] * within_mm + line[1]
    return Alignment(rotation_deg, shift_mm, centre_mm)


def _centre_line_mm(grid: Grid) -> NDArray[np.float64]:
    """Middles of the fields of view, smoothed to a straight line, shape (Z, 3), LPS mm.

    In a stack sheared by the tilt of the gantry the line runs along the table, as the head does.
    """
    centres_mm = image_centres_mm(grid)
    if len(centres_mm) < 2:
        return centres_mm
    heights_mm = grid.slice_origins_mm @ superior_normal(grid)
    heights_mm = heights_mm - heights_mm.mean()
    line: NDArray[np.float64] = np.polyfit(heights_mm, centres_mm, 1)
    smooth_mm: NDArray[np.float64] = line[1] + heights_mm[:, None] * line[0]
    return smooth_mm


def _head(hu: NDArray[np.float32], pixel_mm: float) -> NDArray[np.bool_]:
    """Mask of the head in one sampled slice, without the head holder; empty if there is none."""
    opening = max(1, round(_OPENING_MM / 2 / pixel_mm))
    tissue = ndimage.binary_opening(hu > _TISSUE_HU, iterations=opening)
    regions, count = ndimage.label(tissue)
    nothing = np.zeros(hu.shape, bool)
    if count == 0:
        return nothing
    sizes = np.bincount(regions.ravel())
    sizes[0] = 0
    head = ndimage.binary_fill_holes(regions == sizes.argmax())
    head = ndimage.binary_dilation(head, iterations=opening)
    large = head.sum() * pixel_mm**2 >= _SMALLEST_HEAD_MM2
    bony = (hu[head] > _BONE_HU).sum() * pixel_mm**2 >= _SMALLEST_BONE_MM2
    return head if large and bony else nothing


def _head_middle_mm(heads: NDArray[np.bool_], pixel_mm: float) -> tuple[float, float] | None:
    """Middle of the head relative to that of the images (down, right), from its largest slices."""
    areas = heads.sum(axis=(1, 2))
    if not areas.any():
        return None
    middles = []
    for head in heads[areas >= 0.7 * areas.max()]:
        rows, columns = np.flatnonzero(head.any(axis=1)), np.flatnonzero(head.any(axis=0))
        middles.append([(rows[0] + rows[-1]) / 2, (columns[0] + columns[-1]) / 2])
    down, right = (np.median(middles, axis=0) - (heads.shape[1] - 1) / 2) * pixel_mm
    return float(down), float(right)


def _mirror_lines(
    hu: NDArray[np.float32], heads: NDArray[np.bool_], pixel_mm: float
) -> tuple[float, NDArray[np.float64]]:
    """Rotation that makes all slices most like their mirror images, and the shift of each.

    Returns
    -------
    rotation_deg : float
        As in `Alignment`.
    shifts_mm : NDArray
        Shape (N,), distance of each mirror line from the middle of the image.
    """
    low, high = _WINDOW_HU
    windowed = np.clip((hu - low) / (high - low), 0, 1) * heads
    fine_NSS = torch.from_numpy(windowed.astype(np.float32))
    coarse_NSS = functional.avg_pool2d(fine_NSS, _COARSE)
    weights_N = torch.from_numpy(heads.sum(axis=(1, 2)).astype(np.float32))

    angles = np.arange(-_LARGEST_ROTATION_DEG, _LARGEST_ROTATION_DEG + 1e-6, _COARSE_STEP_DEG)
    likeness_AN, _ = _likeness(coarse_NSS, angles, pixel_mm * _COARSE)
    best = float(angles[int((likeness_AN @ weights_N).argmax())])
    angles = best + np.arange(-2 * _COARSE_STEP_DEG, 2 * _COARSE_STEP_DEG + 1e-6, _FINE_STEP_DEG)
    likeness_AN, _ = _likeness(fine_NSS, angles, pixel_mm)
    total = (likeness_AN @ weights_N).numpy().astype(np.float64)
    peak = int(total.argmax())
    rotation_deg = float(angles[peak] + _FINE_STEP_DEG * _peak_offset(total, peak))
    _, shifts_AN = _likeness(fine_NSS, np.array([rotation_deg]), pixel_mm)
    return rotation_deg, shifts_AN[0].numpy().astype(np.float64)


def _likeness(
    images_NSS: Tensor, angles_deg: NDArray[np.float64], pixel_mm: float
) -> tuple[Tensor, Tensor]:
    """Compare turned images with their mirror images.

    Returns
    -------
    likeness_AN : Tensor
        Correlation with the mirror image at the best mirror line of each image, 0 to 1.
    shifts_AN : Tensor
        Distance of that line from the middle of the image, mm.
    """
    size = images_NSS.shape[-1]
    count = 2 * size
    # mirrored about c, column x falls on 2c - x: the convolution of a row with itself at 2c
    twice = torch.arange(count)
    centres_mm = (twice / 2 - (size - 1) / 2) * pixel_mm
    allowed = centres_mm.abs() <= _LARGEST_SHIFT_MM
    likeness, shifts = [], []
    for angle in angles_deg:
        turned = _turn(images_NSS, float(angle))
        spectrum = torch.fft.rfft(turned, n=count, dim=2)
        overlap = torch.fft.irfft((spectrum * spectrum).sum(dim=1), n=count, dim=1)
        energy = (turned * turned).sum(dim=(1, 2)).clamp_min(1e-6)
        overlap = overlap.masked_fill(~allowed, 0) / energy[:, None]
        best, peaks = overlap.max(dim=1)
        offsets = [_peak_offset(o, int(p)) for o, p in zip(overlap.numpy(), peaks, strict=True)]
        likeness.append(best)
        shifts.append(centres_mm[peaks] + torch.tensor(offsets) / 2 * pixel_mm)
    return torch.stack(likeness), torch.stack(shifts).float()


def _turn(images_NSS: Tensor, angle_deg: float) -> Tensor:
    """Sample images along axes turned by an angle, as `Alignment.axes` are."""
    turn = np.deg2rad(angle_deg)
    cos, sin = float(np.cos(turn)), float(np.sin(turn))
    # source (x, y) of result (x, y): x' = cos x - sin y, y' = sin x + cos y
    theta = torch.tensor([[cos, -sin, 0.0], [sin, cos, 0.0]])[None]
    size = images_NSS.shape[-1]
    where = functional.affine_grid(theta, [1, 1, size, size], align_corners=False)
    # one grid for all: the images are its channels
    return functional.grid_sample(images_NSS[None], where, align_corners=False)[0]


def _peak_offset(values: NDArray[np.float64], peak: int) -> float:
    """Distance from the largest sample to the top of the parabola through it, in samples."""
    if not 0 < peak < len(values) - 1:
        return 0.0
    before, top, after = (float(v) for v in values[peak - 1 : peak + 2])
    curvature = before - 2 * top + after
    if curvature >= 0:
        return 0.0
    return float(np.clip((before - after) / curvature / 2, -1, 1))


def _robust_line(
    x: NDArray[np.float64], y: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Straight line through points some of which are wrong: slope and intercept.

    Weighted least squares, repeated with less weight for points far off (Cauchy weights).
    """
    if len(x) < 3:
        return np.array([0.0, float(np.average(y, weights=weights))])
    current = weights.copy()
    middle = float(np.average(x, weights=weights))
    line = np.array([0.0, float(np.median(y))])
    for _ in range(20):
        away = np.abs(y - np.polyval(line, x - middle))
        scale = max(0.5, 1.5 * float(np.median(away)))
        current = weights / (1 + (away / scale) ** 2)
        line = np.polyfit(x - middle, y, 1, w=np.sqrt(current))
    return np.array([line[0], line[1] - line[0] * middle])
