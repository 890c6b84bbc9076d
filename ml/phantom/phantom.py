"""Synthetic head CT with true masks: from a seed to a volume."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.phantom.anatomy import Difficulty, Head, sample_head
from ml.phantom.bleeding import Shares, extra_axial_layers, paint_bleeds, pushed
from ml.phantom.brain import paint_brain
from ml.phantom.dura import brighten_at_bone, paint_calcification, paint_dura
from ml.phantom.lesions import Bleed, sample_bleeds
from ml.phantom.plane import Plane, Window, make_plane
from ml.phantom.pose import Pose, Scan, make_grid, sample_pose, true_midline
from ml.phantom.scanner import Imaging, sample_imaging, scanned
from ml.phantom.shapes import Field, blend, inside
from ml.phantom.skull import Cavity, make_cavity, paint_outside
from ml.phantom.spaces import find_spaces
from ml.phantom.template import Template
from ml.volume import Grid, Mask, Subtype, Volume

_LEAST_ML = 1.0
"""A subtype that was asked for has at least this volume."""
_MAX_DRAWS = 6
"""So often a bleed that came out too small is drawn again, larger each time."""
_THICK_MM = 2.0
"""Slices thicker than this are averaged from the planes of their two faces."""
_VERTEX_SHARE = 0.55
"""From this share of the head's height on, slices are averaged from more planes."""
_LEAST_SHARE = {
    Subtype.IPH: 0.5,
    Subtype.IVH: 0.5,
    Subtype.EDH: 0.5,
    Subtype.SDH: 0.5,
    Subtype.SAH: 0.36,
}
"""Share of a voxel from which it is labelled; thin layers of blood are seen earlier."""
_BRIGHTEST_BLOOD_HU = 130.0
"""A voxel above, before noise, looks like bone however much blood is in it: nobody would outline
it, and healthy heads have the same rim along the inner table."""


@dataclass(frozen=True, eq=False)
class Phantom:
    """A synthetic head CT.

    Attributes
    ----------
    volume
        The scan, in HU.
    mask
        The true bleeds, on the same grid.
    subtypes
        The subtypes in the mask.
    yaw_deg, midline_mm
        The true midline of slice k is the line cos(yaw) (x - midline_mm[k]) + sin(yaw) y = 0,
        where x runs along the rows, y along the columns, both in mm from the middle of the
        image. A bleed pushes the brain, not this line.
    scan, imaging
        The protocol, and what it left to chance.
    """

    volume: Volume
    mask: Mask
    subtypes: tuple[Subtype, ...]
    yaw_deg: float
    midline_mm: NDArray[np.float64]
    scan: Scan
    imaging: Imaging


@dataclass(frozen=True, eq=False)
class _Slab:
    """Clean slices, shape (Z, Y, X): HU, and share of blood for each subtype."""

    hu: NDArray[np.float32]
    shares: dict[Subtype, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class _Painted:
    """One plane: HU of its window, and shares of blood in a smaller window of the image."""

    hu: Field
    shares: Shares
    inner_window: Window


def make_phantom(
    seed: int,
    subtypes: Sequence[Subtype] = (),
    *,
    scan: Scan | None = None,
    difficulty: Difficulty = Difficulty.STANDARD,
    template: Template | None = None,
) -> Phantom:
    """Make a synthetic head CT.

    Parameters
    ----------
    seed
        The same seed, subtypes and scan give the same phantom.
    subtypes
        The subtypes of haemorrhage that the head has, each at least 1 ml.
    scan
        The protocol; by default 32 slices of 5 mm with 512 x 512 pixels.
    difficulty
        How far brightness alone tells blood from what is none.
    template
        Gives the anatomy, from `ml.phantom.template.load_template`; without one, implicit
        functions draw it.

    Raises
    ------
    ValueError
        If the scan shows no 1 ml of a subtype, whatever is drawn (it misses the head).
    """
    scan = scan or Scan()
    wanted = tuple(sorted(set(subtypes)))
    rng = np.random.default_rng([seed, 0])
    head = sample_head(
        rng, hydrocephalic=Subtype.IVH in wanted, difficulty=difficulty, template=template
    )
    pose = sample_pose(rng, scan.pose_spread)
    back_mm = head.skull.half_length_mm + head.skull.thickness_mm + head.skull.scalp_mm
    imaging = sample_imaging(rng, scan, back_of_head_mm=back_mm - float(pose.shift_mm[1]))
    grid = make_grid(scan)
    draws = dict.fromkeys(wanted, 0)
    while True:
        bleeds = _draw_bleeds(seed, draws, head, difficulty)
        slab = _render(head, pose, grid, imaging, bleeds)
        mask = Mask(labels=_labels(slab, grid), grid=grid)
        if not _grow(draws, mask):
            break
    hu = scanned(np.random.default_rng([seed, 1]), slab.hu, scan, imaging)
    yaw_deg, midline_mm = true_midline(pose, grid, skew=head.skew)
    return Phantom(
        volume=Volume(hu=hu, grid=grid),
        mask=mask,
        subtypes=wanted,
        yaw_deg=yaw_deg,
        midline_mm=midline_mm,
        scan=scan,
        imaging=imaging,
    )


def _grow(draws: dict[Subtype, int], mask: Mask) -> bool:
    """Have what is too small drawn anew, in place; say whether there was any."""
    small = [subtype for subtype in draws if mask.volume_ml(subtype) < _LEAST_ML]
    for subtype in small:
        draws[subtype] += 1
        if draws[subtype] == _MAX_DRAWS:
            raise ValueError(f"no {_LEAST_ML} ml of {subtype.name} fit into the scanned part")
    return bool(small)


def _draw_bleeds(
    seed: int, draws: Mapping[Subtype, int], head: Head, difficulty: Difficulty
) -> list[Bleed]:
    """Draw the bleeds of each subtype for the so-and-so-many-th time."""
    bleeds: list[Bleed] = []
    for subtype, draw in draws.items():
        rng = np.random.default_rng([seed, 2, int(subtype), draw])
        bleeds += sample_bleeds(rng, subtype, head, growth=1.25**draw, difficulty=difficulty)
    return bleeds


def _render(head: Head, pose: Pose, grid: Grid, imaging: Imaging, bleeds: Sequence[Bleed]) -> _Slab:
    """Average planes into slices; neighbouring slices share the plane between them."""
    num_slices = grid.shape[0]
    hu = np.full(grid.shape, -1000, np.float32)
    shares: dict[Subtype, NDArray[np.float32]] = {}
    # No edge is sharper than a pixel.
    edge_mm = max(imaging.blur_mm, grid.pixel_spacing_mm[0])
    within = [_planes_within(index, head, pose, grid) for index in range(num_slices)]
    for position in sorted({position for weights in within for position in weights}):
        plane = make_plane(head, pose, grid, position, edge_mm=edge_mm)
        if plane is None:
            continue
        painted = _paint(plane, head, bleeds)
        over_air = painted.hu + 1000
        for index in {int(np.floor(position + 0.5)), int(np.ceil(position - 0.5))}:
            weight = within[index].get(position) if 0 <= index < num_slices else None
            if weight is None:
                continue
            hu[index][plane.window] += over_air * np.float32(weight)
            for subtype, share in painted.shares.items():
                if subtype not in shares:
                    shares[subtype] = np.zeros(grid.shape, np.float32)
                shares[subtype][index][painted.inner_window] += share * np.float32(weight)
    return _Slab(hu=hu, shares=shares)


def _planes_within(index: int, head: Head, pose: Pose, grid: Grid) -> dict[float, float]:
    """Weights of the planes whose average a slice is, by their position counted in slices.

    A thin slice is one plane, a thick one the mean of its two faces; at the vertex, where the vault
    runs nearly along the slice, three more between them make its partial volume smooth.
    """
    if float(grid.slice_steps_mm[index]) <= _THICK_MM:
        return {float(index): 1.0}
    middle = np.array([[index, (grid.rows - 1) / 2, (grid.columns - 1) / 2]])
    height_mm = float(pose.head_of_point(grid.positions_mm(middle))[0, 2])
    if height_mm < _VERTEX_SHARE * head.skull.height_mm:
        return {index - 0.5: 0.5, index + 0.5: 0.5}
    return {
        index - 0.5: 0.125,
        index - 0.25: 0.25,
        index: 0.25,
        index + 0.25: 0.25,
        index + 0.5: 0.125,
    }


def _paint(plane: Plane, head: Head, bleeds: Sequence[Bleed]) -> _Painted:
    cavity = make_cavity(plane, head)
    hu = paint_outside(plane, head, cavity)
    in_cavity = cavity.distance < plane.edge_mm
    if not in_cavity.any():
        return _Painted(hu=hu, shares={}, inner_window=plane.window)
    inner, window = plane.part(in_cavity)
    cavity = cavity.part(window)
    content, shares = _paint_content(inner, head, cavity, bleeds)
    blend(hu[window], inside(cavity.distance, plane.edge_mm), content)
    return _Painted(hu=hu, shares=shares, inner_window=inner.window)


def _paint_content(
    plane: Plane, head: Head, cavity: Cavity, bleeds: Sequence[Bleed]
) -> tuple[Field, Shares]:
    layers = extra_axial_layers(plane, head, cavity, bleeds)
    wall = cavity.distance
    for layer in layers.values():
        wall = np.maximum(wall, -layer)
    x, y, z = pushed(plane.place, bleeds)
    coarse = pushed(plane.coarse_place, bleeds)
    # falx and fissures follow the midline of the bent skull
    spaces = find_spaces(plane, head, (x - head.skew * y + 0.7 * plane.drift, y, z), coarse, wall)
    content = paint_brain(plane, head, spaces)
    paint_dura(content, plane, head, cavity, spaces)
    paint_calcification(content, plane, head, spaces)
    shares = paint_bleeds(content, plane, head, cavity, spaces, bleeds=bleeds, layers=layers)
    brighten_at_bone(content, plane, head, cavity)
    return content, shares


def _labels(slab: _Slab, grid: Grid) -> NDArray[np.uint8]:
    """Label each voxel by the subtype that fills most of it, where blood can be seen."""
    labels = np.zeros(grid.shape, np.uint8)
    most = np.zeros(grid.shape, np.float32)
    for subtype, share in slab.shares.items():
        for index in np.flatnonzero(share.max(axis=(1, 2)) > _LEAST_SHARE[subtype]):
            more = (share[index] > _LEAST_SHARE[subtype]) & (share[index] > most[index])
            more &= slab.hu[index] < _BRIGHTEST_BLOOD_HU
            labels[index][more] = subtype
            most[index][more] = share[index][more]
    return labels
