"""Plots of docs/scaling.md."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.simulation.fit import Lognormal
from benchmarks.simulation.theory import Queue

INCHES = (8.0, 3.6)


def plot_day(folder: Path, days: Sequence[Mapping[str, Any]]) -> Path:
    """Draw the wait for a worker over a day, a line for each number of workers."""
    figure = Figure(figsize=INCHES, layout="constrained")
    axes = figure.subplots()
    for day in days:
        axes.plot(range(24), day["hours"], marker=".", label=f"{day['workers']} worker(s)")
    axes.set(xlabel="hour of the day", ylabel="95 % wait no longer, s", xlim=(0, 23))
    axes.set_ylim(bottom=0)
    axes.legend()
    return _saved(figure, folder / "day.png")


def plot_loads(folder: Path, found: Mapping[str, Any]) -> Path:
    """Draw measured and simulated waits over the load, beside theory."""
    figure = Figure(figsize=INCHES, layout="constrained")
    counts = sorted({load["workers"] for load in found["loads"]})
    work = Lognormal(**found["model"]["work"])
    for place, count in enumerate(counts):
        axes = figure.add_subplot(1, len(counts), place + 1)
        loads = [load for load in found["loads"] if load["workers"] == count]
        shares = [100 * load["share"] for load in loads]
        waits = [load["mean_wait"] for load in loads]
        spread = [
            [wait["simulated"] - wait["low"] for wait in waits],
            [wait["high"] - wait["simulated"] for wait in waits],
        ]
        axes.errorbar(
            shares,
            [wait["simulated"] for wait in waits],
            yerr=spread,
            capsize=4,
            marker="o",
            label="simulated, 95 % of runs",
        )
        axes.plot(shares, [wait["measured"] for wait in waits], "x", ms=9, label="measured")
        axes.plot(*_theory(found, count, work), ":", label="theory (M/G/c)")
        axes.set(xlabel="load, %", ylabel="mean wait, s", title=f"{count} worker(s)", xlim=(0, 100))
        axes.set_ylim(bottom=0)
        axes.legend()
    return _saved(figure, folder / "load.png")


def _theory(
    found: Mapping[str, Any], count: int, work: Lognormal
) -> tuple[list[float], list[float]]:
    full = found["full"][str(count)]
    pause = full["dispatch_seconds"]
    shares = [share / 100 for share in range(5, 91, 5)]
    seconds = count / full["rate"]
    waits = [
        pause + Queue(share * full["rate"], seconds, count, work.variation).mean_wait
        for share in shares
    ]
    return [100 * share for share in shares], waits


def _saved(figure: Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"svg.hashsalt": "midline"}):
        # without the moment and the version, the same figures give the same file
        figure.savefig(path, dpi=110, metadata={"Software": None})
    return path
