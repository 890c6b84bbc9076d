"""What the scanner adds to the head: noise of a reconstruction kernel, streaks, a head holder."""

from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ml.phantom.pose import Scan
from ml.phantom.shapes import Field

_AIR_LIMIT_HU = -960.0
_NUM_TILES = 6
_METAL_CHANCE, _MOTION_CHANCE = 0.05, 0.08


@dataclass(frozen=True)
class Metal:
    """A piece of metal with its streaks: a clip, a coil, a shunt valve.

    Attributes
    ----------
    across_mm, up_mm, radius_mm
        Where it lies in the image, from its middle, and its size.
    first_slice, num_slices
        Which slices show it.
    streak_hu
        Height of the streaks beside it.
    beams
        Angle (rad), width (mm) and sign of each streak.
    """

    across_mm: float
    up_mm: float
    radius_mm: float
    first_slice: int
    num_slices: int
    streak_hu: float
    beams: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class Imaging:
    """How one scan comes out.

    Attributes
    ----------
    noise_hu
        Standard deviation of the noise in the middle of the head.
    cutoff_per_mm
        Spatial frequency at which the kernel has fallen to 1/e.
    blur_mm
        Width over which an edge is blurred.
    offset_hu
        Error of the calibration.
    streaks
        Angle (rad), distance from the middle (mm), width (mm) and height (HU) of each.
    holder_mm, holder_radius_mm
        Height (y to the front) of the bottom of the head holder, None without one, and the radius
        of its curve.
    metal
        None in most heads.
    motion_mm, moved_slices
        How far the head moved (across, down) while the slices from one to another were taken.
    """

    noise_hu: float
    cutoff_per_mm: float
    blur_mm: float
    offset_hu: float
    streaks: tuple[tuple[float, float, float, float], ...]
    holder_mm: float | None
    holder_radius_mm: float
    metal: Metal | None = None
    motion_mm: tuple[float, float] | None = None
    moved_slices: tuple[int, int] = (0, 0)


def sample_imaging(rng: np.random.Generator, scan: Scan, *, back_of_head_mm: float) -> Imaging:
    """Draw how a scan comes out; thin slices are noisier."""
    thin = float(np.clip(np.sqrt(5 / scan.slice_step_mm), 0.9, 2.5))
    noise_hu = rng.uniform(1.6, 4.2) * thin
    blur_mm = rng.uniform(0.8, 2.2)
    offset_hu = float(np.clip(rng.normal(0, 1.5), -3, 3))
    cutoff_per_mm = rng.uniform(0.26, 0.46)
    streaks = tuple(
        (rng.uniform(0, np.pi), rng.uniform(-50, 50), rng.uniform(1, 3), rng.uniform(-3, 3))
        for _ in range(3 if rng.uniform() < 0.5 else 0)
    )
    return Imaging(
        noise_hu=noise_hu if scan.noise_hu is None else scan.noise_hu,
        cutoff_per_mm=cutoff_per_mm,
        blur_mm=blur_mm if scan.blur_mm is None else scan.blur_mm,
        offset_hu=offset_hu,
        streaks=streaks,
        holder_mm=-back_of_head_mm - rng.uniform(2, 12) if scan.head_holder else None,
        holder_radius_mm=rng.uniform(96, 140),
        metal=_sample_metal(rng, scan) if rng.uniform() < _METAL_CHANCE else None,
        **_sample_motion(rng, scan),
    )


def _sample_metal(rng: np.random.Generator, scan: Scan) -> Metal:
    num_slices = max(1, round(rng.uniform(2, 9) / scan.slice_step_mm))
    return Metal(
        across_mm=rng.uniform(-45, 45),
        up_mm=rng.uniform(-55, 55),
        radius_mm=rng.uniform(1.5, 5),
        first_slice=int(rng.integers(scan.num_slices // 6, scan.num_slices * 5 // 6)),
        num_slices=num_slices,
        streak_hu=rng.uniform(30, 160),
        beams=tuple(
            (rng.uniform(0, np.pi), rng.uniform(0.8, 4), float(rng.choice((-1.0, 1.0))))
            for _ in range(int(rng.integers(4, 10)))
        ),
    )


class _Motion(TypedDict):
    motion_mm: tuple[float, float] | None
    moved_slices: tuple[int, int]


def _sample_motion(rng: np.random.Generator, scan: Scan) -> _Motion:
    if rng.uniform() >= _MOTION_CHANCE:
        return {"motion_mm": None, "moved_slices": (0, 0)}
    first = int(rng.integers(0, scan.num_slices - 1))
    across, down = rng.normal(0, 1.2, 2)
    return {
        "motion_mm": (float(across), float(down)),
        "moved_slices": (first, first + int(rng.integers(2, 8))),
    }


def scanned(
    rng: np.random.Generator, hu: Field, scan: Scan, imaging: Imaging
) -> NDArray[np.float32]:
    """Add noise, streaks and holder to clean slices, shape (Z, Y, X), in HU."""
    middle_mm = (np.arange(scan.matrix, dtype=np.float32) - (scan.matrix - 1) / 2) * scan.pixel_mm
    across, up = middle_mm[None, :], -middle_mm[:, None]
    holder = np.zeros((scan.matrix, scan.matrix), np.float32)
    if imaging.holder_mm is not None:
        holder = _holder(across, up, imaging.holder_mm, imaging.holder_radius_mm)
    radius = (across**2 + up**2) / 70**2
    middle = np.exp(-radius)
    # Noise is largest where the head is thickest.
    spread = imaging.noise_hu * (0.55 + 0.6 * np.exp(-radius / 1.4))
    steady = imaging.offset_hu + _streaks(across, up, imaging) * middle
    tiles = _noise_tiles(rng, scan, imaging, min(_NUM_TILES, len(hu)))
    out = np.empty(hu.shape, np.float32)
    for index, clean in enumerate(hu):
        air = clean < _AIR_LIMIT_HU
        tile = tiles[rng.integers(len(tiles))]
        rows, columns = (int(v) for v in rng.integers(0, scan.matrix, 2))
        noise = np.roll(tile, (rows, columns), (0, 1)) * spread
        noise[air] *= np.float32(0.6)
        if imaging.motion_mm and imaging.moved_slices[0] <= index < imaging.moved_slices[1]:
            shift = [round(v / scan.pixel_mm) for v in imaging.motion_mm]
            noise += 0.5 * (np.roll(clean, (shift[1], shift[0]), (0, 1)) - clean)
        out[index] = clean + noise + steady + air * holder
        if imaging.metal is not None:
            _add_metal(out[index], index, across, up, imaging.metal)
    # The scale of CT ends at -1024 HU; with 12 bits it reaches 3071 HU.
    np.clip(out, -1024, 3071, out=out)
    return out


def _add_metal(hu: Field, index: int, across: Field, up: Field, metal: Metal) -> None:
    """Add a piece of metal, and the streaks that radiate from it, in place."""
    if not metal.first_slice <= index < metal.first_slice + metal.num_slices:
        return
    dx, dy = across - metal.across_mm, up - metal.up_mm
    away = np.sqrt(dx * dx + dy * dy)
    fading = metal.streak_hu * np.exp(-away / 45) * (hu > _AIR_LIMIT_HU)
    for angle, width_mm, sign in metal.beams:
        off = (dx * np.cos(angle) + dy * np.sin(angle)) / (width_mm * (1 + away / 40))
        hu += np.float32(sign) * fading * np.exp(-off * off)
    hu[away < metal.radius_mm] = 3000


def _holder(across: Field, up: Field, bottom_mm: float, radius_mm: float) -> Field:
    """Draw a curved shell of plastic with foam in it, HU over air."""
    from_centre = np.sqrt(across**2 + (up - bottom_mm - radius_mm) ** 2)
    low = up < bottom_mm + 74
    shell = (from_centre < radius_mm) & (from_centre > radius_mm - 2.5) & low
    foam = (from_centre <= radius_mm - 2.5) & (from_centre > radius_mm - 8) & low
    return np.where(shell, np.float32(1100), np.where(foam, np.float32(55), np.float32(0)))


def _streaks(across: Field, up: Field, imaging: Imaging) -> Field:
    total = np.zeros(np.broadcast_shapes(across.shape, up.shape), np.float32)
    for angle, distance_mm, width_mm, height_hu in imaging.streaks:
        off = (across * np.cos(angle) + up * np.sin(angle) - distance_mm) / width_mm
        total += height_hu * np.exp(-off * off)
    return total


def _noise_tiles(
    rng: np.random.Generator, scan: Scan, imaging: Imaging, num_tiles: int
) -> NDArray[np.float32]:
    """Noise with the ramp-and-roll-off spectrum of filtered back-projection, deviation 1."""
    size = scan.matrix
    down = fft.fftfreq(size, scan.pixel_mm)[:, None]
    along = fft.rfftfreq(size, scan.pixel_mm)[None, :]
    frequency = np.sqrt(along * along + down * down)
    transfer = np.sqrt(frequency) * np.exp(-((frequency / imaging.cutoff_per_mm) ** 2))
    tiles = np.empty((num_tiles, size, size), np.float32)
    for index in range(num_tiles):
        white = fft.rfft2(rng.standard_normal((size, size), dtype=np.float32))
        grain = fft.irfft2(white * transfer.astype(np.float32), s=(size, size))
        tiles[index] = grain / grain.std()
    return tiles
