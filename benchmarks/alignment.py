"""How well the midline of unseen synthetic heads is found: one line for each way.

::

    python -m benchmarks.alignment --num 36 --first-seed 900000

The heads are made as those of the training set are, from other seeds. Each is turned and shifted
further by a known amount, so that its angle within the slices is uniform over +-20 degrees and its
shift over +-15 mm: the directions of its grid are turned, and whole columns are moved.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from benchmarks.alignment_report import Errors, Line, summarise, write_report
from ml.align import (
    Alignment,
    HeadSlices,
    SliceMidlines,
    as_alignment,
    fit_line,
    fit_midline,
    head_slices,
    slice_midlines,
)
from ml.learned_alignment import load_network, network_midlines, save_network
from ml.models.alignment_net import AlignmentNet
from ml.phantom import Phantom
from ml.plane import AIR_HU
from ml.training.alignment import AlignmentRecipe, slices_of, synthetic_heads, train_alignment
from ml.training.datasets import make_head
from ml.training.recipes import PhantomSource
from ml.volume import Grid, Volume

MOST_TURNED_DEG, MOST_SHIFTED_MM = 20.0, 15.0
MIDDLE = (0.19, 0.76)
"""Part of the stack in which single slices are judged: above the skull base, below the vertex."""
LARGE_ML = 30.0
TRAINING_HEADS, TRAINING_SEED = 40, 700_000
PROBE_MM = 50.0
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, eq=False)
class Posed:
    """A head of known pose.

    Attributes
    ----------
    volume
        The scan.
    on_midline
        Shape (Z, 3, 3): for each slice the indices of three points on the true midline: 50 mm
        before, in and 50 mm behind the middle row.
    blood_ml
        Volume of its bleeds.
    """

    volume: Volume
    on_midline: NDArray[np.float64]
    blood_ml: float


Way = Callable[[HeadSlices], tuple[SliceMidlines | None, Alignment]]
"""From the sampled slices to the midline of each, if it looks at them singly, and of the volume."""


def pose(phantom: Phantom, rng: np.random.Generator) -> Posed:
    """Turn a head to an angle, and shift it, both drawn uniformly."""
    grid = phantom.volume.grid
    pixel_mm = grid.pixel_spacing_mm[1]
    turn_deg = rng.uniform(-MOST_TURNED_DEG, MOST_TURNED_DEG) - phantom.yaw_deg
    wanted_mm = rng.uniform(-MOST_SHIFTED_MM, MOST_SHIFTED_MM)
    moved = round((wanted_mm - float(np.median(phantom.midline_mm))) / pixel_mm)
    hu = np.roll(phantom.volume.hu, moved, axis=2)
    hu[:, :, : max(moved, 0)] = AIR_HU
    hu[:, :, hu.shape[2] + min(moved, 0) :] = AIR_HU

    yaw = np.deg2rad(phantom.yaw_deg)
    # x0 + t sin(yaw) to the side on the way of -t cos(yaw) down: cos (x - x0) + sin y = 0
    along_mm = np.array([-PROBE_MM, 0.0, PROBE_MM])
    index = np.zeros((grid.shape[0], 3, 3))
    index[..., 0] = np.arange(grid.shape[0])[:, None]
    index[..., 1] = (grid.rows - 1) / 2 + np.cos(yaw) * along_mm / grid.pixel_spacing_mm[0]
    across_mm = phantom.midline_mm[:, None] - np.sin(yaw) * along_mm
    index[..., 2] = (grid.columns - 1) / 2 + moved + across_mm / pixel_mm
    blood_ml = float((phantom.mask.labels > 0).sum(axis=(1, 2)) @ grid.voxel_ml)
    return Posed(Volume(hu, turned(grid, turn_deg)), index, blood_ml)


def turned(grid: Grid, turn_deg: float) -> Grid:
    """Turn a grid within its slices about the middle of each: its head turns by as much."""
    turn = np.deg2rad(turn_deg)
    right, down = grid.row_direction, grid.column_direction
    new_right = np.cos(turn) * right + np.sin(turn) * down
    new_down = np.cos(turn) * down - np.sin(turn) * right
    half_down_mm = (grid.rows - 1) / 2 * grid.pixel_spacing_mm[0]
    half_right_mm = (grid.columns - 1) / 2 * grid.pixel_spacing_mm[1]
    moved_mm = half_right_mm * (right - new_right) + half_down_mm * (down - new_down)
    return replace(
        grid,
        slice_origins_mm=grid.slice_origins_mm + moved_mm,
        row_direction=new_right,
        column_direction=new_down,
    )


def off(alignment: Alignment, posed: Posed) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Angle (degrees) and distance (mm) between the midline found and the true one, each (Z,)."""
    lateral_mm = alignment.lateral_mm(posed.volume.grid, posed.on_midline)
    slope = (lateral_mm[:, 2] - lateral_mm[:, 0]) / (2 * PROBE_MM)
    return np.abs(np.rad2deg(np.arcsin(slope))), np.abs(lateral_mm[:, 1])


def judge(way: Way, posed: Posed, head: HeadSlices, sampling_seconds: float) -> Errors:
    """Run a way on a head and compare it with the truth."""
    start = time.process_time()
    slices, whole = way(head)
    spent = sampling_seconds + time.process_time() - start
    angle, shift = off(whole, posed)
    alone = np.empty((2, len(head.slices)))
    for place, index in enumerate(head.slices):
        single = whole
        if slices is not None:
            shift_mm = np.full(head.grid.shape[0], slices.shift_mm[place])
            single = Alignment(float(slices.rotation_deg[place]), shift_mm, head.centre_mm)
        alone[:, place] = [errors[index] for errors in off(single, posed)]
    share = (head.height_mm - head.height_mm.min()) / np.ptp(head.height_mm)
    return Errors(
        slice_angle=alone[0],
        slice_shift=alone[1],
        middle=(share[head.slices] > MIDDLE[0]) & (share[head.slices] < MIDDLE[1]),
        volume_angle=float(angle[0]),
        volume_shift=shift[head.slices],
        milliseconds=1000 * spent / len(head.slices),
    )


def ways(network: AlignmentNet) -> dict[str, Way]:
    """All that is compared, by name."""

    def line(find: Callable[[HeadSlices], SliceMidlines]) -> Way:
        def way(head: HeadSlices) -> tuple[SliceMidlines, Alignment]:
            slices = find(head)
            return slices, as_alignment(head, fit_line(head, slices))

        return way

    def plane(find: Callable[[HeadSlices], SliceMidlines]) -> Way:
        def way(head: HeadSlices) -> tuple[SliceMidlines, Alignment]:
            slices = find(head)
            return slices, fit_midline(head, slices)

        return way

    once = partial(network_midlines, network=network, passes=1)
    twice = partial(network_midlines, network=network)
    return {
        "none": lambda head: (None, Alignment.identity(head.grid)),
        "mirror correlation, line": line(slice_midlines),
        "mirror correlation, plane": plane(slice_midlines),
        "the same as `align` runs it": lambda head: (None, fit_midline(head)),
        "network, 1 pass, line": line(once),
        "network, 2 passes, line": line(twice),
        "network, 2 passes, plane": plane(twice),
    }


def trained_network() -> tuple[AlignmentNet, float]:
    """Train the network on synthetic heads that are not measured; with the seconds it took."""
    source = PhantomSource(TRAINING_HEADS, 0, 0, first_seed=TRAINING_SEED)
    images = slices_of(synthetic_heads(source, TRAINING_HEADS))
    start = time.process_time()
    network = train_alignment(images, AlignmentRecipe())
    return network, time.process_time() - start


def measure(
    heads: Iterable[Posed], compared: dict[str, Way]
) -> tuple[dict[str, list[Errors]], list[float]]:
    """Run every way on every head; with the volume of blood in each head."""
    errors: dict[str, list[Errors]] = {name: [] for name in compared}
    blood_ml = []
    for posed in heads:
        start = time.process_time()
        head = head_slices(posed.volume)
        seconds = time.process_time() - start
        if head is None:
            raise RuntimeError("no head was found in a synthetic head")
        for name, way in compared.items():
            errors[name].append(judge(way, posed, head, seconds))
        blood_ml.append(posed.blood_ml)
    return errors, blood_ml


def lines_of(errors: dict[str, list[Errors]], blood_ml: Sequence[float]) -> Iterable[Line]:
    """Summarise over all heads, over those without and over those with much blood."""
    groups = {
        "all": [True] * len(blood_ml),
        "no blood": [ml == 0 for ml in blood_ml],
        f"{LARGE_ML:.0f} ml or more": [ml >= LARGE_ML for ml in blood_ml],
    }
    for group, belongs in groups.items():
        for name, every in errors.items():
            some = [one for one, inside in zip(every, belongs, strict=True) if inside]
            if some:
                yield summarise(group, name, some)


def main(
    num: Annotated[int, typer.Option(help="Synthetic heads.")] = 36,
    first_seed: Annotated[int, typer.Option(help="Seed of the first one.")] = 900_000,
    template_share: Annotated[float, typer.Option(help="Share of heads from templates.")] = 0.0,
    network: Annotated[Path | None, typer.Option(help="Read it, or train it and write it.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = RESULTS,
) -> None:
    """Measure, and write JSON and Markdown."""
    torch.set_num_threads(1)
    seconds = None
    if network is not None and network.exists():
        learned = load_network(network)
    else:
        learned, seconds = trained_network()
        if network is not None:
            save_network(network, learned)
    source = PhantomSource(num, 0, 0, first_seed=first_seed, template_share=template_share)

    def heads() -> Iterable[Posed]:
        for seed in range(first_seed, first_seed + num):
            yield pose(make_head(seed, source), np.random.default_rng([seed, 13]))

    errors, blood_ml = measure(heads(), ways(learned))
    settings = {
        "num": num,
        "first_seed": first_seed,
        "template_share": template_share,
        "training_heads": TRAINING_HEADS,
        "training_cpu_seconds": seconds,
    }
    typer.echo(write_report(out, settings, list(lines_of(errors, blood_ml))))


if __name__ == "__main__":
    typer.run(main)
