"""Plain figures of how a volume looks: brightness, noise, sharpness, composition, size.

They know nothing of the network. Pixels as bright as blood are left out where the look of the brain
is measured, so that a large bleed does not make a head unusual; their share is a figure of its own,
which varies widely among the heads of any training that shows bleeds.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch.nn import functional

from ml.cavity import sides_with_bone
from ml.plane import superior_normal
from ml.preprocess import AlignedVolume

# Axes: Z chosen slice, S row and column of the aligned image, P those averaged to about 2 mm

Description = Mapping[str, float]
"""Figures of one volume by their name in `FIGURES`; NaN where one cannot be measured."""

_MOST_SLICES = 48
_MOST_FINE_SLICES = 16
"""Noise and sharpness are measured on so many slices."""
_COARSE_MM = 2.0
_BONE_HU = 300.0
_SOFT_HU = (-10.0, 100.0)
_HEAD_HU = -200.0
_AIR_HU = -300.0
_FAT_HU = (-150.0, -40.0)
_STEEP = 0.85
"""Quantile of the slopes around the inner table, a quarter of whose pixels lie on its edge."""
_RIM_HU = (100.0, 300.0)
"""Between blood and bone: beside the brain, bone that is blurred or averaged with it."""
_WINDOW_HU = (0.0, 80.0)
_BLOOD_HU = (55.0, 100.0)
"""What is as bright as clotted blood is left out where the look of the brain is measured."""
_INSET_PIXELS = 2
"""Coarse pixels of the cavity that are nearer to its border may be mixed with bone."""
_LEAST_PIXELS = 1000
"""Coarse pixels of brain; in fewer nothing is measured."""
_TO_SIGMA = 1.4826
"""Median absolute deviation to standard deviation, for a normal distribution."""


@dataclass(frozen=True)
class Figure:
    """One figure of a volume.

    Attributes
    ----------
    words, unit
        How people read it.
    tolerance
        Standard deviation that scanners have anyway, whatever the training shows; relative if the
        figure is `logarithmic`. It keeps a uniform training from calling all else unusual.
    digits
        Behind the point.
    logarithmic
        Whether ratios matter; `offset` is added before.
    """

    words: str
    unit: str
    tolerance: float
    digits: int = 0
    logarithmic: bool = False
    offset: float = 0.0

    def scaled(self, value: float) -> float:
        """Bring a value to the scale on which differences count."""
        if not math.isfinite(value):
            return math.nan
        return math.log(max(value + self.offset, 1e-6)) if self.logarithmic else value


def _share(words: str, tolerance: float) -> Figure:
    return Figure(words, "%", tolerance, digits=2, logarithmic=True, offset=0.05)


FIGURES: Mapping[str, Figure] = MappingProxyType(
    {
        "brain_25_hu": Figure("brain, lower quartile", "HU", 2.0, 1),
        "brain_50_hu": Figure("brain, median", "HU", 2.0, 1),
        "brain_75_hu": Figure("brain, upper quartile", "HU", 2.0, 1),
        "brain_05_hu": Figure("brain, darkest 5 %", "HU", 3.0, 1),
        "brain_95_hu": Figure("brain, brightest 5 %", "HU", 5.0, 1),
        "noise_hu": Figure("noise", "HU", 0.2, 1, logarithmic=True, offset=0.2),
        "noise_grain": Figure("grain of the noise", "", 0.1, 2, logarithmic=True),
        "bone_edge_hu_per_mm": Figure("steepness of bone edges", "HU/mm", 0.15, logarithmic=True),
        "rim_percent": _share("100 to 300 HU beside the brain", 0.2),
        "bone_hu": Figure("bone, median", "HU", 75.0),
        "bone_percent": _share("bone in the head", 0.2),
        "fat_percent": _share("fat in the head", 0.4),
        "fluid_percent": _share("0 to 15 HU in the cavity", 0.3),
        "dense_percent": _share("60 to 100 HU in the cavity", 0.7),
        "denser_percent": _share("above 100 HU in the cavity", 0.7),
        "air_percent": _share("air in the cavity", 0.4),
        "mirror_likeness": Figure("likeness of left and right", "", 0.05, 2),
        "cavity_ml": Figure("volume of the cavity", "ml", 0.1, logarithmic=True),
        "cavity_width_mm": Figure("width of the cavity", "mm", 5.0),
        "cavity_length_mm": Figure("length of the cavity", "mm", 6.0),
        "slice_step_mm": Figure("slice step", "mm", 0.15, 2, logarithmic=True),
        "pixel_mm": Figure("pixel spacing", "mm", 0.1, 2, logarithmic=True),
    }
)
"""What is measured; another formula gets another name, since fitted models name these."""


def describe(aligned: AlignedVolume) -> dict[str, float]:
    """Measure the figures of a volume.

    Parameters
    ----------
    aligned
        In the canonical plane, in any order of slices. Of a long stack, evenly spaced slices are
        looked at.

    Returns
    -------
    dict
        A value for each of `FIGURES`; NaN where it cannot be measured. Without a skull, that is
        all but the spacing.
    """
    spec, grid = aligned.spec, aligned.grid
    chosen = _evenly(np.arange(len(aligned.hu)), _MOST_SLICES)
    heights_mm = grid.slice_origins_mm[chosen] @ superior_normal(grid)
    figures = dict.fromkeys(FIGURES, math.nan)
    figures["pixel_mm"] = max(*grid.pixel_spacing_mm, spec.pixel_mm)
    if len(chosen) < 2:
        return figures
    figures["slice_step_mm"] = float(np.median(grid.slice_steps_mm))
    coarse = _coarse(aligned.hu[chosen], spec.pixel_mm)
    if coarse.without_blood.sum() < _LEAST_PIXELS:
        return figures
    figures |= _brightness(coarse) | _composition(coarse)
    figures |= _size(coarse, np.abs(np.gradient(heights_mm)))
    figures["mirror_likeness"] = _mirror_likeness(coarse)
    fine = _evenly(np.flatnonzero(coarse.brain.any(axis=(1, 2))), _MOST_FINE_SLICES)
    return figures | _texture(aligned.hu[chosen[fine]], coarse, fine, spec.pixel_mm)


@dataclass(frozen=True, eq=False)
class _Coarse:
    """Slices averaged to pixels of about 2 mm, whole pixels on either side of the midline.

    Attributes
    ----------
    hu
        Shape (Z, P, P).
    head, cavity
        Within the scalp, and within the skull; with what is bright or dark in them.
    brain
        The cavity without its border.
    factor, inset
        Fine pixels in each coarse one, and before the first.
    pixel_mm
        Of a coarse pixel.
    """

    hu: NDArray[np.float32]
    head: NDArray[np.bool_]
    cavity: NDArray[np.bool_]
    brain: NDArray[np.bool_]
    factor: int
    inset: int
    pixel_mm: float

    @property
    def without_blood(self) -> NDArray[np.bool_]:
        """The brain without what may be blood."""
        low, high = _BLOOD_HU
        return self.brain & ((self.hu < low) | (self.hu >= high))

    def fine(self, mask_ZPP: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
        """Bring a mask to the fine pixels."""
        repeated = mask_ZPP.repeat(self.factor, axis=1).repeat(self.factor, axis=2)
        after = size - self.inset - repeated.shape[1]
        around = (self.inset, after)
        return np.pad(repeated, ((0, 0), around, around))


def _coarse(hu_ZSS: NDArray[np.float32], pixel_mm: float) -> _Coarse:
    factor = max(1, round(_COARSE_MM / pixel_mm))
    size = hu_ZSS.shape[-1]
    inset, count = size % factor // 2, size // factor
    within = slice(inset, inset + count * factor)
    cut = torch.from_numpy(np.ascontiguousarray(hu_ZSS[:, within, within]))
    hu = functional.avg_pool2d(cut[:, None], factor)[:, 0].numpy()
    bone = hu > _BONE_HU
    low, high = _SOFT_HU
    # the fourth side may be missing after a craniectomy
    soft = (sides_with_bone(bone) >= 3) & (hu > low) & (hu < high)
    cavity = _largest(soft)
    cavity = np.stack([ndimage.binary_fill_holes(plane) for plane in cavity])
    head = np.stack(
        [ndimage.binary_fill_holes(ndimage.binary_opening(plane)) for plane in hu > _HEAD_HU]
    )
    inset_PP = np.ones((1, 3, 3), bool)
    brain = ndimage.binary_erosion(cavity, inset_PP, iterations=_INSET_PIXELS)
    return _Coarse(hu, head, cavity, brain, factor, inset, factor * pixel_mm)


def _largest(soft_ZPP: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Largest part of soft tissue; thinned first, so that it does not hang together with the neck.

    As in `ml.quality`, on slices that are thinned out.
    """
    in_plane = np.ones((1, 3, 3), bool)
    core, count = ndimage.label(ndimage.binary_erosion(soft_ZPP, in_plane))
    if not count:
        return np.zeros(soft_ZPP.shape, bool)
    sizes = np.bincount(core.ravel())
    sizes[0] = 0
    largest: NDArray[np.bool_] = ndimage.binary_dilation(
        core == sizes.argmax(), in_plane, mask=soft_ZPP
    )
    return largest


def _brightness(coarse: _Coarse) -> dict[str, float]:
    parts = (5, 25, 50, 75, 95)
    values = np.percentile(coarse.hu[coarse.without_blood], parts)
    brightness = {f"brain_{part:02d}_hu": float(v) for part, v in zip(parts, values, strict=True)}
    bone = coarse.hu[coarse.head & (coarse.hu > _BONE_HU)]
    return brightness | {"bone_hu": float(np.median(bone))}


def _composition(coarse: _Coarse) -> dict[str, float]:
    brain, head = coarse.hu[coarse.brain], coarse.hu[coarse.head]

    def percent(hu: NDArray[np.float32], low: float, high: float) -> float:
        return 100 * float(((hu >= low) & (hu < high)).mean())

    return {
        "bone_percent": percent(head, _BONE_HU, math.inf),
        "fat_percent": percent(head, *_FAT_HU),
        "fluid_percent": percent(brain, 0, 15),
        "dense_percent": percent(brain, 60, 100),
        "denser_percent": percent(brain, 100, math.inf),
        "air_percent": percent(coarse.hu[coarse.cavity], -math.inf, _AIR_HU),
    }


def _size(coarse: _Coarse, steps_mm: NDArray[np.float64]) -> dict[str, float]:
    areas = coarse.cavity.sum(axis=(1, 2))
    largest = coarse.cavity[int(areas.argmax())]
    return {
        "cavity_ml": float(areas @ steps_mm) * coarse.pixel_mm**2 / 1000,
        "cavity_width_mm": float(largest.any(axis=0).sum()) * coarse.pixel_mm,
        "cavity_length_mm": float(largest.any(axis=1).sum()) * coarse.pixel_mm,
    }


def _mirror_likeness(coarse: _Coarse) -> float:
    """Correlation of the brain with its mirror image."""
    both = coarse.without_blood & coarse.without_blood[..., ::-1]
    windowed = np.clip(coarse.hu, *_WINDOW_HU)
    one, other = windowed[both], windowed[..., ::-1][both]
    if one.size < _LEAST_PIXELS or np.ptp(one) == 0:
        return math.nan
    return float(np.corrcoef(one, other)[0, 1])


def _texture(
    hu_ZSS: NDArray[np.float32], coarse: _Coarse, chosen: NDArray[np.intp], pixel_mm: float
) -> dict[str, float]:
    """Noise within the brain, and how steep and how blurred the inner table of the skull is."""
    size = hu_ZSS.shape[-1]
    brain = coarse.fine(coarse.brain[chosen], size)
    near, far = (_deviation(hu_ZSS, brain, lag) for lag in (1, 2))
    border = ndimage.binary_dilation(
        coarse.cavity[chosen], np.ones((1, 3, 3), bool), iterations=_INSET_PIXELS
    )
    edge = coarse.fine(border & ~coarse.brain[chosen], size)
    low, high = _RIM_HU
    rim = (hu_ZSS[edge] >= low) & (hu_ZSS[edge] < high)
    edge[:, [0, -1]] = edge[:, :, [0, -1]] = False
    z, y, x = np.nonzero(edge)
    down = hu_ZSS[z, y + 1, x] - hu_ZSS[z, y - 1, x]
    right = hu_ZSS[z, y, x + 1] - hu_ZSS[z, y, x - 1]
    slopes = np.hypot(down, right) / (2 * pixel_mm)
    return {
        "noise_hu": near,
        "noise_grain": far / near if near > 0 else math.nan,
        "rim_percent": 100 * float(rim.mean()) if rim.size else math.nan,
        "bone_edge_hu_per_mm": float(np.quantile(slopes, _STEEP)) if slopes.size else math.nan,
    }


def _deviation(hu_ZSS: NDArray[np.float32], where: NDArray[np.bool_], lag: int) -> float:
    """Robust standard deviation of what the four pixels at a distance do not explain.

    For white noise that is the noise itself at any distance; smooth noise is small near by.
    """
    inner = slice(lag, -lag)
    chosen = where[:, inner, inner]
    middle = hu_ZSS[:, inner, inner][chosen]
    shifted = (slice(0, -2 * lag), slice(2 * lag, None))
    around = np.stack(
        [hu_ZSS[:, rows, inner][chosen] for rows in shifted]
        + [hu_ZSS[:, inner, columns][chosen] for columns in shifted]
    )
    away = middle - around.mean(axis=0)
    if not away.size:
        return math.nan
    spread = float(np.median(np.abs(away - np.median(away))))
    # four neighbours of the same noise add a quarter of its variance
    return _TO_SIGMA * spread / math.sqrt(1.25)


def _evenly(indices: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """Choose at most so many of some indices, evenly."""
    if len(indices) <= most:
        return indices
    places = np.linspace(0, len(indices) - 1, most).round().astype(np.intp)
    chosen: NDArray[np.intp] = indices[places]
    return chosen
