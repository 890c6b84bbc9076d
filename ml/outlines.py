"""Outlines of regions along pixel edges: what is drawn is exactly what was counted."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

# Axes: Z slice, Y row, X column


def largest_region(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the largest region of a cross-section.

    Parameters
    ----------
    inside
        Shape (Y, X). Pixels that touch only at a corner are apart.

    Returns
    -------
    NDArray
        Shape (Y, X).
    """
    numbered, count = ndimage.label(inside)
    if count < 2:
        return inside
    sizes = np.bincount(numbered.ravel())
    sizes[0] = 0
    largest: NDArray[np.bool_] = numbered == sizes.argmax()
    return largest


def trace(region: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Walk around a region along the edges of its pixels, clockwise.

    Parameters
    ----------
    region
        Shape (Y, X), one region connected through faces.

    Returns
    -------
    NDArray
        Shape (M, 2): corners of the outer outline, (column, row) with the outer corner of the
        first pixel at (0, 0); the last point equals the first. Holes are left out.

    Raises
    ------
    ValueError
        If the region is empty.
    """
    if not region.any():
        raise ValueError("an empty region has no outline")
    # a rim of background spares all questions about borders: pixel (r, c) is padded[r + 1][c + 1]
    padded = np.pad(region, 1).tolist()
    row, column = start = tuple(np.argwhere(region)[0].tolist())
    # along the upper edge of the first pixel, the region on the right hand
    down, right = 0, 1
    corners = [(column, row)]
    while True:
        row, column = row + down, column + right
        # of the two pixels ahead, the one on the right hand decides first
        if not padded[row + (down + right + 1) // 2][column + (right - down + 1) // 2]:
            down, right = right, -down
        elif padded[row + (down - right + 1) // 2][column + (right + down + 1) // 2]:
            down, right = -right, down
        else:
            continue
        corners.append((column, row))
        # no other pixel touches the first corner, so that it is passed only once
        if (row, column) == start:
            return np.array(corners, np.float64)
