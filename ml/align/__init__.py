"""Finding the midline of the head: mirror correlation in slices, then one plane in space.

What can be seen of a head's pose is its plane of symmetry: within the slices a rotation, and a
left-right shift that is linear along the normal. `slices` compares each slice with its own mirror
image; `mirror_plane` starts from there and compares the two sides of the whole head.
"""

from ml.align.head import HeadSlices, head_slices
from ml.align.midline import align, as_alignment, fit_line, fit_midline
from ml.align.slices import SliceMidlines, slice_midlines
from ml.plane import Alignment

__all__ = [
    "Alignment",
    "HeadSlices",
    "SliceMidlines",
    "align",
    "as_alignment",
    "fit_line",
    "fit_midline",
    "head_slices",
    "slice_midlines",
]
