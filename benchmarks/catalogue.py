"""Every benchmark of ``make bench``: its name, how much it measures, how long it may take."""

import importlib
import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.progress import Tell
from tests.support.databases import SERVER

KINDS = ("sqlite", "postgresql")
"""Of databases; the second one where `SERVER` names one."""


@dataclass(frozen=True)
class Benchmark:
    """One benchmark.

    Attributes
    ----------
    name
        On the command line, and of its JSON.
    module
        Has ``measure(...)``, which gives back plain JSON, and ``table(found)``, lines of Markdown.
    title
        Heading of its section.
    full, quick
        Arguments of `measure`, for figures to be published and for a look whether it works.
    hours
        After so long it is ended.
    """

    name: str
    module: str
    title: str
    full: Mapping[str, object] = field(default_factory=dict)
    quick: Mapping[str, object] = field(default_factory=dict)
    hours: float = 1.0

    def measure(self, tell: Tell, *, quick: bool) -> dict[str, Any]:
        """Run it in this process."""
        function = importlib.import_module(self.module).measure
        found: dict[str, Any] = function(**self._arguments(function, quick=quick, tell=tell))
        return found

    def num_steps(self, *, quick: bool) -> int | None:
        """Count what `measure` will tell of; None if it tells nothing."""
        count = getattr(importlib.import_module(self.module), "num_steps", None)
        if count is None:
            return None
        steps: int = count(**self._arguments(count, quick=quick))
        return steps

    def _arguments(
        self, function: Callable[..., object], *, quick: bool, **further: object
    ) -> dict[str, object]:
        """Choose what a function takes."""
        kinds = KINDS if SERVER in os.environ else KINDS[:1]
        given = {"kinds": kinds, **(self.quick if quick else self.full), **further}
        return {
            name: given[name] for name in inspect.signature(function).parameters if name in given
        }

    def table(self, found: Mapping[str, Any]) -> list[str]:
        """Write what it found as Markdown."""
        lines: list[str] = importlib.import_module(self.module).table(found)
        return lines


BENCHMARKS: tuple[Benchmark, ...] = (
    Benchmark(
        "receive",
        "benchmarks.receiving",
        "Receiving, beside DCMTK and Orthanc",
        full={"images": 1000, "rounds": 5},
        quick={"images": 100, "rounds": 1},
        hours=2,
    ),
    Benchmark(
        "deliver",
        "benchmarks.delivering",
        "Delivering, beside DCMTK",
        full={"images": 200, "rounds": 5, "studies": 100},
        quick={"images": 30, "rounds": 1, "studies": 5},
    ),
    Benchmark(
        "turnaround",
        "benchmarks.turnaround",
        "From the last image to the report",
        full={"repeats": 5, "unknown": 3},
        quick={"repeats": 2, "unknown": 1},
    ),
    Benchmark(
        "queue",
        "benchmarks.queueing",
        "From queued to started, and STAT behind many",
        full={"repeats": 30},
        quick={"repeats": 3, "sizes": (100, 1000), "idle_seconds": 3.0},
    ),
    Benchmark(
        "status",
        "benchmarks.status",
        "Status of an index of a million images",
        full={"instances": 1_000_000, "queued": 10_000, "repeats": 7},
        quick={"instances": 20_000, "queued": 200, "repeats": 1},
        hours=2,
    ),
    Benchmark(
        "workers",
        "benchmarks.workers",
        "One to eight workers on one machine",
        full={"counts": (1, 2, 4, 8), "each": 60},
        quick={"counts": (1, 2), "each": 6},
    ),
    Benchmark(
        "database",
        "benchmarks.registering",
        "What one database takes",
        full={"counts": (1, 2, 4, 8), "seconds": 10.0},
        quick={"counts": (1, 2), "seconds": 2.0},
    ),
    Benchmark(
        "load",
        "benchmarks.loads",
        "Under load, measured and simulated",
        full={"counts": (1, 2), "shares": (0.3, 0.5, 0.8), "studies": 200, "queued": 40},
        quick={"counts": (1, 2), "shares": (0.3, 0.7), "studies": 10, "queued": 4},
        hours=2,
    ),
    Benchmark(
        "inference",
        "benchmarks.inferring",
        "Inference of each network on this CPU",
        quick={"networks": "lite", "backends": "eager fp32", "repeats": 1, "slices": 8},
        hours=2,
    ),
    Benchmark(
        "soak",
        "benchmarks.soaking",
        "Soak: memory and disk over many studies",
        full={"studies": 2000},
        quick={"studies": 50},
        hours=4,
    ),
)


def named(name: str) -> Benchmark:
    """Find a benchmark.

    Raises
    ------
    KeyError
        If there is none of that name.
    """
    return {each.name: each for each in BENCHMARKS}[name]
