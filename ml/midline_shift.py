"""How far a bleed pushes the middle of the brain aside: measured, or not stated.

The skull's midline is the mirror line of the `Alignment`. Around it, on the slices of the lateral
and third ventricles, the middle of the brain is where tissue and fluid are most like their own
mirror image: a line from the front to the back that may bend, found in one sweep over all lines
(Viterbi). Bleeds say nothing about symmetry and are left out; blood in a ventricle is taken for
fluid, since the wall of the ventricle shows the middle however it is filled.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from ml.cavity import LEAST_ML, VOXEL_MM, soft_tissue_within_bone
from ml.findings import Side
from ml.plane import Alignment, inverse, sample, sample_hu, source_to_plane, superior_normal
from ml.volume import Grid, Mask, Subtype, Volume

# Axes: Z slice of the source, N slice looked at, S row or column of the aligned image, A station
# from the front to the back, D displacement tried, U distance from the line

SMALLEST_MM = 3.0
"""Less is not told apart from the asymmetry of a head without a bleed, and is not stated."""
LARGEST_MM = 18.0
"""More lies at the edge of what is tried."""
LEAST_PUSH_ML = 3.0
"""So much more of a bleed that takes room lies on the side from which the brain is pushed: a
displacement that no bleed explains is more often a head that was never symmetric."""

_SIZE, _PIXEL_MM = 192, 1.0
_LEVELS = (0.31, 0.46)
"""Where the lateral and third ventricles lie below the top of the cavity, in lengths of it."""
_STATIONS = np.linspace(0.12, 0.88, 100)
"""From the front of the cavity to its back; nearer to the bone there is no tissue on both sides."""
_CENTRAL = (_STATIONS > 0.30) & (_STATIONS < 0.63)
"""Stations of septum and third ventricle, where no falx holds the brain."""

_STEP_MM = 0.5
_TRIED_MM = np.arange(-20.0, 20.0 + _STEP_MM / 2, _STEP_MM)
_FROM_LINE_MM = np.arange(0.5, 28.0)
_NEARNESS_MM = 17.0
"""What lies so far from the line counts e times less."""
_WINDOW_HU = (0.0, 80.0)
_FLUID_HU = 8.0
_MOST_UNLIKE_HU = 10.0
"""Larger differences count no more: one side may have an infarct or a calcification."""
_BLUR_MM = 0.8
_ROWS_TOGETHER = 5
_SLICES_TOGETHER_MM = 6.0
_STIFFNESS = 0.7
"""HU that a step of the line to its neighbour costs."""
_PULL_HU = 0.005
"""HU that a displacement costs for each mm squared: where nothing is seen, nothing is displaced."""
_AROUND_BLOOD_PIXELS = 2

_MOST_APART_MM = 3.0
"""Neighbouring slices that differ by more do not show the same line."""
_MOST_BENT_MM = 6.0
"""Likewise the stations of one slice, apart from the tenth at either end."""
_LEAST_SEEN = 0.6
"""Share of the central stations at which both sides can be compared."""


@dataclass(frozen=True, eq=False)
class MidlineShift:
    """How far the middle of the brain is pushed aside where it is pushed most.

    Attributes
    ----------
    shift_mm
        Distance between the midlines of skull and brain, mm.
    side
        Side of the patient towards which the brain is pushed.
    slice_index
        Index of the slice in the analysed volume.
    points
        Shape (2, 2), float64: a point of the skull's midline, then one of the brain's beside it;
        (column, row) as in `ml.findings.Outline`.
    """

    shift_mm: float
    side: Side
    slice_index: int
    points: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Refuse what cannot have been measured: zero is no shift, and both sides are none."""
        if not 0 < self.shift_mm < np.inf or self.side is Side.BOTH:
            raise ValueError(f"a midline shift of {self.shift_mm} mm to {self.side}")
        if self.points.shape != (2, 2) or self.slice_index < 0:
            raise ValueError("a midline shift is a line of two points on a slice")


@dataclass(frozen=True, eq=False)
class Level:
    """The line of one slice.

    Attributes
    ----------
    slice_index
        In the source.
    line_mm
        Shape (A,): displacement to the patient's left at each station.
    rows
        Shape (A,): row of each station in the aligned image.
    seen
        Share of the central stations at which both sides could be compared.
    """

    slice_index: int
    line_mm: NDArray[np.float64]
    rows: NDArray[np.float64]
    seen: float

    @property
    def shift_mm(self) -> float:
        """Median over the central stations."""
        return float(np.median(self.line_mm[_CENTRAL]))

    @property
    def is_clear(self) -> bool:
        """Whether enough is seen, and the line hardly bends."""
        low, high = np.percentile(self.line_mm[_CENTRAL], (10, 90))
        return self.seen >= _LEAST_SEEN and bool(high - low <= _MOST_BENT_MM)


def measure_midline_shift(volume: Volume, mask: Mask, alignment: Alignment) -> MidlineShift | None:
    """Measure the midline shift.

    Parameters
    ----------
    volume
        A head CT.
    mask
        Its bleeds, on the same grid.
    alignment
        Where the midline of the skull runs.

    Returns
    -------
    MidlineShift | None
        The largest shift that a slice and both its neighbours agree on. None if that is smaller
        than 3 mm, if no bleed pushes that way, or if it cannot be told: no cavity, fewer than three
        slices at the level of the ventricles, neighbours that contradict each other, a line that
        bends too much, too little tissue left beside the bleeds.
    """
    found = largest_shift(levels_of(volume, mask, alignment))
    if found is None or not SMALLEST_MM <= abs(found.shift_mm) <= LARGEST_MM:
        return None
    if _push_ml(mask, alignment) * np.sign(found.shift_mm) < LEAST_PUSH_ML:
        return None
    return MidlineShift(
        shift_mm=abs(found.shift_mm),
        side=Side.LEFT if found.shift_mm > 0 else Side.RIGHT,
        slice_index=found.slice_index,
        points=_points(found, volume.grid, alignment),
    )


def largest_shift(levels: list[Level]) -> Level | None:
    """Find the largest shift that three neighbouring slices share; None if there is none.

    Of three slices the one in the middle by shift stands for all: a single slice says nothing.
    """
    trusted = []
    for three in zip(levels, levels[1:], levels[2:], strict=False):
        low, middle, high = sorted(three, key=lambda level: level.shift_mm)
        if high.shift_mm - low.shift_mm <= _MOST_APART_MM and middle.is_clear:
            trusted.append(middle)
    return max(trusted, key=lambda level: abs(level.shift_mm), default=None)


def levels_of(volume: Volume, mask: Mask, alignment: Alignment) -> list[Level]:
    """Find the line in each slice at the level of the ventricles, from the feet to the head."""
    grid = volume.grid
    cavity = _cavity(volume, alignment)
    areas = cavity.sum(axis=(1, 2))
    if not areas.any():
        return []
    height_mm = grid.slice_origins_mm @ superior_normal(grid)
    length_mm = np.ptp(np.flatnonzero(cavity[areas.argmax()].any(axis=1))) * _PIXEL_MM
    below_mm = height_mm[areas > 0.1 * areas.max()].max() - height_mm
    at_mm = np.array(_LEVELS) * length_mm
    around_mm = at_mm + np.array([-1, 1]) * _SLICES_TOGETHER_MM
    shown = np.flatnonzero((below_mm >= around_mm[0]) & (below_mm <= around_mm[1]))
    shown = shown[areas[shown] > 0.5 * areas.max()]
    if not shown.size:
        return []
    hu_NSS, bleeds_NSS = _sampled(volume, mask, alignment, shown)
    rows_NA, unlikeness_NAD = [], []
    for hu_SS, bleed_SS, inside_SS in zip(hu_NSS, bleeds_NSS, cavity[shown], strict=True):
        rows_A = _stations(inside_SS)
        rows_NA.append(rows_A)
        unlikeness_NAD.append(_unlikeness(hu_SS, inside_SS & ~bleed_SS, rows_A))
    levels = []
    for place in np.argsort(height_mm[shown]):
        index = shown[place]
        if at_mm[0] <= below_mm[index] <= at_mm[1]:
            together = np.abs(height_mm[shown] - height_mm[index]) <= _SLICES_TOGETHER_MM
            seen_A = np.isfinite(unlikeness_NAD[place]).any(axis=1)
            cost_AD = np.mean(
                [_without_gaps(unlikeness_NAD[k]) for k in np.flatnonzero(together)], axis=0
            )
            line_mm = _best_line(cost_AD + _PULL_HU * _TRIED_MM**2)
            seen = float(seen_A[_CENTRAL].mean())
            levels.append(Level(int(index), line_mm, rows_NA[place], seen))
    return levels


def _push_ml(mask: Mask, alignment: Alignment) -> float:
    """Say how much more of bleeds that take room lies on the right than on the left, ml."""
    index = np.argwhere(np.isin(mask.labels, [Subtype.IPH, Subtype.EDH, Subtype.SDH]))
    is_left = alignment.lateral_mm(mask.grid, index.astype(np.float64)) > 0
    return float(mask.grid.voxel_ml[index[:, 0]] @ np.where(is_left, -1.0, 1.0))


def _cavity(volume: Volume, alignment: Alignment) -> NDArray[np.bool_]:
    """Find the soft tissue within bone and what it encloses, shape (Z, S, S); none if no brain."""
    block = round(VOXEL_MM / _PIXEL_MM)
    size, pixel_mm = _SIZE // block, _PIXEL_MM * block
    hu = sample_hu(volume.hu, volume.grid, alignment, size=size, pixel_mm=pixel_mm)
    voxel_ml = volume.grid.slice_steps_mm * pixel_mm**2 / 1000
    tissue = soft_tissue_within_bone(hu, voxel_ml)
    if tissue.sum(axis=(1, 2)) @ voxel_ml < LEAST_ML:
        tissue[:] = False
    closed = [ndimage.binary_closing(plane, iterations=2) for plane in tissue]
    whole = np.stack([ndimage.binary_fill_holes(plane) for plane in closed])
    return whole.repeat(block, axis=1).repeat(block, axis=2)


def _sampled(
    volume: Volume, mask: Mask, alignment: Alignment, slices: NDArray[np.intp]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Sample slices of brain and of the bleeds that hide it, each of shape (N, S, S)."""
    hu = sample_hu(
        volume.hu, volume.grid, alignment, size=_SIZE, pixel_mm=_PIXEL_MM, slices=slices
    ).clip(*_WINDOW_HU)
    matrix, offsets = inverse(
        *source_to_plane(mask.grid, alignment, size=_SIZE, pixel_mm=_PIXEL_MM)
    )
    hidden = np.zeros(hu.shape, bool)
    for place in np.flatnonzero(mask.labels[slices].any(axis=(1, 2))):
        index = slices[place]
        source = torch.from_numpy(mask.labels[index].astype(np.float32))[None]
        shape = (_SIZE, _SIZE)
        labels = sample(source, matrix, offsets[index], shape, nearest=True)[0].numpy()
        in_ventricle = labels == Subtype.IVH
        hu[place][ndimage.binary_dilation(in_ventricle)] = _FLUID_HU
        hidden[place] = ndimage.binary_dilation(
            (labels > 0) & ~in_ventricle, iterations=_AROUND_BLOOD_PIXELS
        )
    blur = (0, _BLUR_MM / _PIXEL_MM, _BLUR_MM / _PIXEL_MM)
    return ndimage.gaussian_filter(hu, blur), hidden


def _stations(inside_SS: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Rows of the stations of a slice, shape (A,), from the cavity near the skull's midline."""
    middle = slice(_SIZE // 2 - 10, _SIZE // 2 + 10)
    rows = np.flatnonzero(inside_SS[:, middle].any(axis=1))
    front, back = (rows[0], rows[-1]) if rows.size else (0, _SIZE - 1)
    stations: NDArray[np.float64] = front + _STATIONS * (back - front)
    return stations


def _unlikeness(
    hu_SS: NDArray[np.float32], shown_SS: NDArray[np.bool_], rows_A: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Compare both sides of each line tried.

    Returns
    -------
    NDArray
        Shape (A, D), HU; NaN where less than half of both sides, by weight, is shown.
    """
    # lines and distances are whole multiples of half a pixel
    fine = np.arange(0, _SIZE - 0.5, 0.5)
    first, rest = fine.astype(np.intp), (fine % 1).astype(np.float32)
    after = np.minimum(first + 1, _SIZE - 1)
    value = hu_SS[:, first] * (1 - rest) + hu_SS[:, after] * rest
    known = shown_SS[:, first] & shown_SS[:, after]
    line_D1 = ((_SIZE - 1) / 2 + _TRIED_MM / _PIXEL_MM)[:, None]
    away_U = _FROM_LINE_MM / _PIXEL_MM
    left, right = (np.rint(2 * (line_D1 + sign * away_U)).astype(np.intp) for sign in (1, -1))
    weight_U = np.exp(-((_FROM_LINE_MM / _NEARNESS_MM) ** 2)).astype(np.float32)
    weights_SDU = weight_U * (known[:, left] & known[:, right])
    apart_SDU = np.minimum(np.abs(value[:, left] - value[:, right]), np.float32(_MOST_UNLIKE_HU))
    total_SD = weights_SDU.sum(axis=2)
    enough_SD = total_SD > 0.5 * weight_U.sum()
    mean_SD = np.where(enough_SD, (apart_SDU * weights_SDU).sum(axis=2), 0)
    mean_SD[enough_SD] /= total_SD[enough_SD]
    # averaged over a few rows, as far as they are known
    share_SD = ndimage.uniform_filter1d(enough_SD.astype(np.float32), _ROWS_TOGETHER, axis=0)
    sum_SD = ndimage.uniform_filter1d(mean_SD, _ROWS_TOGETHER, axis=0)
    known_SD = share_SD > 0.5 / _ROWS_TOGETHER
    smooth_SD = np.where(known_SD, sum_SD / np.maximum(share_SD, 1e-6), np.nan)
    nearest: NDArray[np.float32] = smooth_SD[np.rint(rows_A).astype(np.intp)]
    return nearest


def _without_gaps(unlikeness_AD: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take the mean of all lines where nothing is known: no line is better than another there."""
    known = np.isfinite(unlikeness_AD)
    mean = unlikeness_AD[known].mean() if known.any() else np.float32(0)
    return np.where(known, unlikeness_AD, mean)


def _best_line(cost_AD: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find the line of least cost that does not jump (Viterbi), shape (A,), mm."""
    steps_D = np.arange(len(_TRIED_MM))
    bend_DD = _STIFFNESS * (steps_D[:, None] - steps_D) ** 2
    cost_D = cost_AD[0]
    came_from = []
    for here_D in cost_AD[1:]:
        onward_DD = cost_D + bend_DD
        came_from.append(onward_DD.argmin(axis=1))
        cost_D = here_D + onward_DD.min(axis=1)
    line = [int(cost_D.argmin())]
    for before in reversed(came_from):
        line.append(int(before[line[-1]]))
    return _TRIED_MM[line[::-1]]


def _points(level: Level, grid: Grid, alignment: Alignment) -> NDArray[np.float64]:
    """Draw the shift on the source slice, at the station whose displacement it is."""
    away = np.where(_CENTRAL, np.abs(level.line_mm - level.shift_mm), np.inf)
    # of stations that are as good, the one in the middle
    away = away + 1e-3 * np.abs(_STATIONS - _STATIONS[_CENTRAL].mean())
    row = level.rows[away.argmin()]
    middle = (_SIZE - 1) / 2
    ends = np.array([[row, middle], [row, middle + level.shift_mm / _PIXEL_MM]])
    matrix, offsets = inverse(*source_to_plane(grid, alignment, size=_SIZE, pixel_mm=_PIXEL_MM))
    source = ends @ matrix.T + offsets[level.slice_index]
    points: NDArray[np.float64] = source[:, ::-1] + 0.5  # the corner of the first pixel is (0, 0)
    return points
