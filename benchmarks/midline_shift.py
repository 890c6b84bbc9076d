"""How well the midline shift of synthetic heads is measured, whose true push is known.

::

    python -m benchmarks.midline_shift --num 60 --first-seed 7800000

Heads as the training set has them push little: the push of every third is tripled. One third has
no bleed that takes room, and shows what a head without a shift is said to have. The truth is what
the phantom displaced: not what makes a head unlike its mirror image by itself, which is part of the
error. Alignment and mask are what they are in practice and the true mask.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from unittest.mock import patch

import numpy as np
import typer

from ml.align import align
from ml.midline_shift import SMALLEST_MM, largest_shift, levels_of, measure_midline_shift
from ml.phantom import Template, load_template, make_phantom, sample_scan
from ml.phantom.bleeding import pushed
from ml.phantom.lesions import Bleed
from ml.phantom.shapes import Place
from ml.volume import Subtype

PUSHING = (
    (Subtype.SDH,),
    (Subtype.EDH,),
    (Subtype.IPH,),
    (Subtype.SDH, Subtype.SAH),
    (Subtype.IPH, Subtype.IVH),
)
NOT_PUSHING: tuple[tuple[Subtype, ...], ...] = ((), (Subtype.SAH,), (Subtype.IVH,))
AT_Y_MM, AT_Z_MM = np.arange(-20.0, 31.0, 5.0), np.arange(-2.5, 28.0, 2.5)
"""Where the truth is taken: septum and third ventricle, in the frame of the head."""


@dataclass(frozen=True)
class Measured:
    """One head: its true shift, the one that was found (None if none is clear), the one stated."""

    subtypes: tuple[Subtype, ...]
    true_mm: float
    found_mm: float | None
    stated: bool
    seconds: float


class Push:
    """The push of a phantom, so many times as strong; it keeps what pushed."""

    def __init__(self, factor: float) -> None:
        self._factor = np.float32(factor)
        self._bleeds: Sequence[Bleed] = ()

    def __call__(self, place: Place, bleeds: Sequence[Bleed]) -> Place:
        """Do what `ml.phantom.bleeding.pushed` does."""
        self._bleeds = bleeds
        x, y, z = pushed(place, bleeds)
        return place[0] + self._factor * (x - place[0]), y, z

    def true_mm(self) -> float:
        """Largest shift over the heights, each the median from front to back; to the left."""
        x = np.arange(-40, 40, 0.1).astype(np.float32)
        shifts: list[float] = []
        for z in AT_Z_MM:
            came_from = [
                self((x, np.full_like(x, y), np.full_like(x, z)), self._bleeds)[0] for y in AT_Y_MM
            ]
            shifts.append(float(np.median([np.interp(0, each, x) for each in came_from])))
        return max(shifts, key=abs)


def measure(seed: int, template: Template | None) -> Measured:
    """Make a head and measure it."""
    rng = np.random.default_rng(seed)
    kinds = NOT_PUSHING if seed % 3 == 0 else PUSHING
    subtypes = kinds[int(rng.integers(len(kinds)))]
    push = Push(3.0 if seed % 3 == 2 else 1.0)
    scan = sample_scan(rng)
    with patch("ml.phantom.phantom.pushed", push):
        head = make_phantom(seed, subtypes, scan=scan, template=template)
    alignment = align(head.volume)
    start = time.perf_counter()
    stated = measure_midline_shift(head.volume, head.mask, alignment)
    seconds = time.perf_counter() - start
    found = largest_shift(levels_of(head.volume, head.mask, alignment))
    return Measured(
        subtypes=subtypes,
        true_mm=push.true_mm(),
        found_mm=None if found is None else found.shift_mm,
        stated=stated is not None,
        seconds=seconds,
    )


def line(name: str, heads: Sequence[Measured]) -> str:
    """Write one line of the table."""
    found = [head for head in heads if head.found_mm is not None]
    stated = sum(head.stated for head in heads)
    if not found:
        return f"| {name} | {len(heads)} | 0 | | | | | {stated} |"
    errors = np.array([(head.found_mm or 0.0) - head.true_mm for head in found])
    larger = np.array([abs(head.found_mm or 0.0) - abs(head.true_mm) for head in found])
    away = np.abs(errors)
    return (
        f"| {name} | {len(heads)} | {len(found)} | {larger.mean():+.2f} | {away.mean():.2f} | "
        f"{np.percentile(away, 95):.2f} | {away.max():.1f} | {stated} |"
    )


def main(
    *,
    num: Annotated[int, typer.Option(min=1, help="How many heads.")] = 60,
    first_seed: Annotated[int, typer.Option(help="Of the first; never one of a training.")],
    templates: Annotated[
        Path | None, typer.Option(help="Every other head is a bend of these.")
    ] = None,
) -> None:
    """Measure the heads and print a table."""
    template = None if templates is None else load_template(templates)
    heads: list[Measured] = []
    for seed in range(first_seed, first_seed + num):
        try:
            head = measure(seed, template if seed % 2 else None)
        except ValueError:
            continue  # the scan misses where the bleed would lie
        heads.append(head)
        found = "none" if head.found_mm is None else f"{head.found_mm:.1f}"
        names = "+".join(subtype.name for subtype in head.subtypes) or "healthy"
        typer.echo(f"{seed} {names}: true {head.true_mm:.1f}, found {found}, stated {head.stated}")
    unmoved = [head for head in heads if abs(head.true_mm) < 0.3]
    typer.echo("\n| heads | number | found | bias of size | mean error | p95 | largest | stated |")
    typer.echo("|---|---|---|---|---|---|---|---|")
    typer.echo(line("all", heads))
    typer.echo(line("unmoved", unmoved))
    typer.echo(line("moved", [head for head in heads if head not in unmoved]))
    typer.echo(
        line(
            f"moved by {SMALLEST_MM:g} mm or more",
            [head for head in heads if abs(head.true_mm) >= SMALLEST_MM],
        )
    )
    typer.echo(line("stated", [head for head in heads if head.stated]))
    seconds = float(np.median([head.seconds for head in heads]))
    typer.echo(f"\n{seconds:.2f} s each (median)")


if __name__ == "__main__":
    typer.run(main)
