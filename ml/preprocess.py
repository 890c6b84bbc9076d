"""From a volume to what a network is shown, and from its probabilities back to the source grid."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ml.plane import Alignment, inverse, sample, sample_hu, source_to_plane, superior_normal
from ml.volume import Grid, Mask, Volume

# Axes: Z slice, C channel, S row and column of the aligned image, Y source row, X source column


@dataclass(frozen=True)
class InputSpec:
    """What a network is shown; stored in the model card.

    Attributes
    ----------
    size
        Rows and columns of the aligned image.
    pixel_mm
        Its pixel spacing, mm.
    windows
        (level, width) of each window, HU. The first is the paper's (level 50, width 100), the
        second tells blood from calcification and bone.
    num_slices
        Odd number of slices that are shown together, the middle one being segmented.
    slice_step_mm
        Distance between them along the normal, mm.
    mean, deviation
        Of the windowed values (0 to 1) inside a head; they bring the input near to zero mean and
        unit variance. Fixed, so that the same tissue always has the same value.
    """

    size: int = 256
    pixel_mm: float = 0.9
    windows: tuple[tuple[float, float], ...] = ((50.0, 100.0), (100.0, 300.0))
    num_slices: int = 3
    slice_step_mm: float = 5.0
    mean: float = 0.3
    deviation: float = 0.3

    def __post_init__(self) -> None:
        """Refuse a specification by which no input can be made."""
        if self.size < 1 or self.pixel_mm <= 0 or self.slice_step_mm <= 0 or self.deviation <= 0:
            raise ValueError("size, pixel_mm, slice_step_mm and deviation must be positive")
        if self.num_slices < 1 or self.num_slices % 2 == 0:
            raise ValueError(f"num_slices is {self.num_slices}, not an odd number")
        if not self.windows or any(width <= 0 for _, width in self.windows):
            raise ValueError("there must be windows, each of a positive width")

    @property
    def num_channels(self) -> int:
        """Channels of the network's input."""
        return len(self.windows) * self.num_slices


@dataclass(frozen=True, eq=False)
class AlignedVolume:
    """A volume in the canonical plane, the midline of the head in the middle.

    Attributes
    ----------
    hu
        Shape (Z, S, S), float32, HU; slices in the order of the source, image right the patient's
        left, image down the patient's back.
    grid
        The source grid.
    alignment
        How the slices were turned and shifted.
    spec
        Size and spacing of the aligned image, and what the network is shown of it.
    """

    hu: NDArray[np.float32]
    grid: Grid
    alignment: Alignment
    spec: InputSpec


def resample(volume: Volume, alignment: Alignment, spec: InputSpec) -> AlignedVolume:
    """Bring a volume into the canonical plane.

    Parameters
    ----------
    volume
        The source.
    alignment
        Made for its grid, by `ml.align.align` or `Alignment.identity`.
    spec
        Size and spacing of the result.

    Returns
    -------
    AlignedVolume
        Interpolated within slices only.
    """
    hu = sample_hu(volume.hu, volume.grid, alignment, size=spec.size, pixel_mm=spec.pixel_mm)
    return AlignedVolume(hu, volume.grid, alignment, spec)


def resample_labels(mask: Mask, alignment: Alignment, spec: InputSpec) -> NDArray[np.uint8]:
    """Bring a label map into the canonical plane, each pixel that of the nearest source pixel.

    Returns
    -------
    NDArray
        Shape (Z, S, S); 0 outside the field of view.
    """
    matrix, offsets = inverse(
        *source_to_plane(mask.grid, alignment, size=spec.size, pixel_mm=spec.pixel_mm)
    )
    aligned = np.zeros((mask.grid.shape[0], spec.size, spec.size), np.uint8)
    for index in np.flatnonzero(mask.labels.any(axis=(1, 2))):
        labels = torch.from_numpy(mask.labels[index].astype(np.float32))[None]
        shape = (spec.size, spec.size)
        aligned[index] = sample(labels, matrix, offsets[index], shape, nearest=True)[0].numpy()
    return aligned


def network_input(
    aligned: AlignedVolume, slices: NDArray[np.intp] | None = None
) -> NDArray[np.float32]:
    """Window, standardise and stack each slice with those around it.

    Parameters
    ----------
    aligned
        The volume in the canonical plane.
    slices
        Shape (N,), indices of the slices for which an input is made; all of them if None.

    Returns
    -------
    NDArray
        Shape (N, C, S, S): the slices from the lowest to the highest, each in all windows. Those
        around are the nearest ones to `slice_step_mm` above and below by their true positions; at
        the ends of the stack the last one is repeated.
    """
    spec = aligned.spec
    chosen = np.arange(len(aligned.hu)) if slices is None else slices
    shown = context(aligned.grid, spec)[chosen]
    # each slice is windowed once, however many inputs show it
    needed, place = np.unique(shown, return_inverse=True)
    windowed = np.stack([_window(aligned.hu[needed], *w) for w in spec.windows], axis=1)
    windowed -= spec.mean
    windowed /= spec.deviation
    stacked = windowed[place.reshape(shown.shape)]
    return stacked.reshape(len(chosen), spec.num_channels, spec.size, spec.size)


def context(grid: Grid, spec: InputSpec) -> NDArray[np.intp]:
    """Slices that are shown together.

    Returns
    -------
    NDArray
        Shape (Z, num_slices), indices into the stack: for each slice those at its side, from the
        lowest (towards the feet) to the highest, whatever the order in which they are stored.
    """
    heights_mm = grid.slice_origins_mm @ superior_normal(grid)
    half = spec.num_slices // 2
    wanted_mm = heights_mm[:, None] + np.arange(-half, half + 1) * spec.slice_step_mm
    distance_mm = np.abs(wanted_mm[..., None] - heights_mm)
    # of two at the same distance take the one nearer to the middle, in whatever order they come
    distance_mm += 1e-3 * np.abs(heights_mm[:, None] - heights_mm)[:, None]
    nearest: NDArray[np.intp] = distance_mm.argmin(axis=-1)
    return nearest


def restore(
    probabilities_CSS: NDArray[np.float32], slice_index: int, aligned: AlignedVolume
) -> NDArray[np.float32]:
    """Bring the probabilities of one slice back to its source pixels.

    Parameters
    ----------
    probabilities_CSS
        Shape (C, S, S): background first, summing to 1 in each pixel.
    slice_index
        The slice they belong to.
    aligned
        What the network was shown.

    Returns
    -------
    NDArray
        Shape (C, Y, X), interpolated between the four nearest aligned pixels by the exact inverse
        of `resample`; background where the network saw nothing.
    """
    grid, spec = aligned.grid, aligned.spec
    matrix, offsets = source_to_plane(
        grid, aligned.alignment, size=spec.size, pixel_mm=spec.pixel_mm
    )
    restored = sample(
        torch.from_numpy(probabilities_CSS), matrix, offsets[slice_index], grid.shape[1:]
    ).numpy()
    restored[0] += 1 - restored.sum(axis=0)
    return restored


def _window(hu: NDArray[np.float32], level: float, width: float) -> NDArray[np.float32]:
    """0 at the lower edge of the window, 1 at the upper."""
    windowed: NDArray[np.float32] = (hu - np.float32(level - width / 2)) / np.float32(width)
    return np.clip(windowed, 0, 1, out=windowed)
