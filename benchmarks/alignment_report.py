"""What a benchmark of alignment found, as JSON and Markdown."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.inference_report import Machine, describe_machine


class Errors(NamedTuple):
    """Errors of one head without sign, degrees and mm; CPU time for each slice.

    Single slices (N,), of which `middle` marks those in the middle part of the stack; then the fit
    over the volume, its shift in each of the slices.
    """

    slice_angle: NDArray[np.float64]
    slice_shift: NDArray[np.float64]
    middle: NDArray[np.bool_]
    volume_angle: float
    volume_shift: NDArray[np.float64]
    milliseconds: float


@dataclass(frozen=True)
class Spread:
    """Mean, 95th percentile and largest of errors."""

    mean: float
    p95: float
    worst: float


@dataclass(frozen=True)
class Line:
    """One line of the report.

    Attributes
    ----------
    group, way
        Which heads, and how they were aligned.
    heads
        How many.
    slice_angle_deg, slice_shift_mm
        Of single slices in the middle part of the stack.
    every_slice_angle_deg, every_slice_shift_mm
        Of all slices that show a head.
    volume_angle_deg, volume_shift_mm
        Of the fit over the volume; the shift in all slices that show a head.
    milliseconds
        CPU time for each slice that shows a head.
    """

    group: str
    way: str
    heads: int
    slice_angle_deg: Spread
    slice_shift_mm: Spread
    every_slice_angle_deg: Spread
    every_slice_shift_mm: Spread
    volume_angle_deg: Spread
    volume_shift_mm: Spread
    milliseconds: float


def summarise(group: str, way: str, heads: Sequence[Errors]) -> Line:
    """Take the errors of heads together; every slice counts the same."""
    middle = np.concatenate([head.middle for head in heads])
    angle = np.concatenate([head.slice_angle for head in heads])
    shift = np.concatenate([head.slice_shift for head in heads])
    return Line(
        group=group,
        way=way,
        heads=len(heads),
        slice_angle_deg=_spread(angle[middle]),
        slice_shift_mm=_spread(shift[middle]),
        every_slice_angle_deg=_spread(angle),
        every_slice_shift_mm=_spread(shift),
        volume_angle_deg=_spread(np.array([head.volume_angle for head in heads])),
        volume_shift_mm=_spread(np.concatenate([head.volume_shift for head in heads])),
        milliseconds=round(float(np.mean([head.milliseconds for head in heads])), 2),
    )


def write_report(folder: Path, settings: Mapping[str, object], lines: Sequence[Line]) -> Path:
    """Write JSON and Markdown named by machine and day; return the path of the latter."""
    machine = describe_machine()
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"alignment_{machine.slug}_{datetime.now(UTC):%Y%m%d}.md"
    content = {
        "machine": asdict(machine),
        "settings": dict(settings),
        "lines": [asdict(line) for line in lines],
    }
    target.with_suffix(".json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    target.write_text("\n".join(_markdown(machine, settings, lines)) + "\n", encoding="utf-8")
    return target


def _markdown(
    machine: Machine, settings: Mapping[str, object], lines: Sequence[Line]
) -> Iterable[str]:
    yield "# Alignment"
    yield ""
    yield (
        f"{settings['num']} synthetic heads from seed {settings['first_seed']} on, turned within "
        f"+-20 degrees, shifted within +-15 mm; share from templates {settings['template_share']}. "
        "Mean / 95th percentile of errors without sign. Slices: those from 19 to 76 % of the "
        f"height of the stack, each by itself. CPU time on one thread; {machine.cpu}, commit "
        f"{machine.commit}, load average {machine.load}."
    )
    if settings["training_cpu_seconds"] is not None:
        yield f"The network was trained in {settings['training_cpu_seconds']:.0f} CPU seconds."
    for group in dict.fromkeys(line.group for line in lines):
        some = [line for line in lines if line.group == group]
        yield ""
        yield f"## Heads: {group} ({some[0].heads})"
        yield ""
        yield "| way | slice angle | slice shift | volume angle | volume shift | a slice |"
        yield "|---|---|---|---|---|---|"
        yield from map(_row, some)


def _row(line: Line) -> str:
    cells = [
        line.way,
        _cell(line.slice_angle_deg, "°"),
        _cell(line.slice_shift_mm, " mm"),
        _cell(line.volume_angle_deg, "°"),
        _cell(line.volume_shift_mm, " mm"),
        f"{line.milliseconds:.1f} ms",
    ]
    return f"| {' | '.join(cells)} |"


def _cell(spread: Spread, unit: str) -> str:
    return f"{spread.mean:.2f} / {spread.p95:.2f}{unit}"


def _spread(errors: NDArray[np.float64]) -> Spread:
    figures = errors.mean(), np.percentile(errors, 95), errors.max()
    return Spread(*(round(float(figure), 3) for figure in figures))
