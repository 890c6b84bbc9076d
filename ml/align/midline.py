"""From a volume to its `Alignment`."""

import numpy as np
from numpy.typing import NDArray

from ml.align.head import HeadSlices, head_slices
from ml.align.mirror_plane import mirror_plane
from ml.align.slices import SliceMidlines, slice_midlines
from ml.plane import Alignment
from ml.volume import Volume

_MOST_ALONE = 14
"""So many slices, looked at one by one, are enough to start from."""
_FEWEST_SLICES, _SHORTEST_MM = 5, 40.0
"""Less of a head does not show how far it leans."""
_FARTHEST = (6.0, 0.3, 12.0)
"""How far the plane may move from what single slices say: degrees, mm per mm, mm."""


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
    head = head_slices(volume)
    return Alignment.identity(volume.grid) if head is None else fit_midline(head)


def fit_midline(head: HeadSlices, midlines: SliceMidlines | None = None) -> Alignment:
    """Find the plane about which a head is most like its mirror image in space.

    Parameters
    ----------
    head
        The slices that show it.
    midlines
        Where to start; by default from what `slice_midlines` finds in some of them.

    Returns
    -------
    Alignment
        The line that `fit_line` fits where the stack is too short to tell how far the head leans,
        or where no plane is found near it.
    """
    if midlines is None:
        some = head.every(1 + (len(head.slices) - 1) // _MOST_ALONE)
        start = fit_line(some, slice_midlines(some))
    else:
        start = fit_line(head, midlines)
    line = start
    if len(head.slices) >= _FEWEST_SLICES and np.ptp(head.height_mm[head.slices]) >= _SHORTEST_MM:
        plane = mirror_plane(head, start)
        line = plane if (np.abs(plane - start) < _FARTHEST).all() else start
    return as_alignment(head, line)


def fit_line(head: HeadSlices, midlines: SliceMidlines) -> NDArray[np.float64]:
    """Fit one rotation, and a shift linear along the normal, to the midlines of single slices.

    Returns
    -------
    NDArray
        Shape (3,): rotation in degrees, then the shift: mm per mm of height, mm at height 0.
    """
    weights = head.area * np.maximum(midlines.likeness, 0.01) ** 2
    height_mm = head.height_mm[head.slices]
    rotation_deg = _robust_fit(height_mm, midlines.rotation_deg, weights, degree=0)
    degree = 1 if len(height_mm) > 2 else 0
    shift = _robust_fit(height_mm, midlines.shift_mm, weights, degree=degree)
    return np.concatenate([rotation_deg, np.zeros(1 - degree), shift])


def as_alignment(head: HeadSlices, line: NDArray[np.float64]) -> Alignment:
    """Make an alignment of the numbers that `fit_line` returns."""
    seen_mm = head.height_mm[head.slices]
    # beyond the slices that show a head the line would only be extrapolated
    shift_mm = line[1] * np.clip(head.height_mm, seen_mm.min(), seen_mm.max()) + line[2]
    return Alignment(float(line[0]), shift_mm, head.centre_mm)


def _robust_fit(
    x: NDArray[np.float64], y: NDArray[np.float64], weights: NDArray[np.float64], *, degree: int
) -> NDArray[np.float64]:
    """Straight line (degree 1) or constant (degree 0) through points some of which are wrong.

    Weighted least squares, repeated with less weight for points far off (Cauchy weights). Returns
    the coefficients, the highest degree first.
    """
    line = np.append(np.zeros(degree), np.median(y))
    for _ in range(20):
        away = np.abs(y - np.polyval(line, x))
        scale = max(0.5, 1.5 * float(np.median(away)))
        line = np.polyfit(x, y, degree, w=np.sqrt(weights / (1 + (away / scale) ** 2)))
    return line
