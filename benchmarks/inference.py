"""How fast, and in how much memory, networks run on this CPU: every backend side by side.

::

    python -m benchmarks.inference --networks lite,full --repeats 5

Each line is measured in a process of its own, so that its peak memory is its own; this process only
starts them, and must stay small: on Linux a child's peak begins at its parent's size.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.inference_report import Line, describe_machine, write_report

# Axes: N slices, C channel or class, S row and column of the aligned image

NETWORKS: tuple[str, ...] = ("lite", "full")

BACKENDS: tuple[str, ...] = (
    "eager fp32",
    "eager channels_last fp32",
    "eager channels_last bf16",
    "torch.compile fp32",
    "ONNX Runtime fp32",
    "OpenVINO fp32",
    "OpenVINO bf16",
)
"""The first one is what the others are compared with."""

MOST_SLICES_TOGETHER: int = 8
"""As many as the node puts through the light network at once."""

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""From (N, C, S, S), float32, to logits of the same N and S."""


class SkippedError(Exception):
    """A backend cannot be measured here; the message says why."""


@dataclass(frozen=True)
class Settings:
    """What every process of a benchmark knows.

    Attributes
    ----------
    networks
        Of `NETWORKS`.
    repeats
        Timed runs after one that is not timed.
    threads
        CPU threads of each process.
    slices, full_slices
        Slices of a run of the light and of the full network.
    matrix
        Rows and columns of the synthetic volume, and of a slice of the full network.
    backends
        Of `BACKENDS`.
    """

    networks: tuple[str, ...]
    backends: tuple[str, ...]
    repeats: int
    threads: int
    slices: int
    full_slices: int
    matrix: int

    def slices_of(self, network: str) -> int:
        """Slices of one timed run."""
        return self.slices if network == "lite" else self.full_slices

    def batch_of(self, network: str) -> int:
        """Slices that go through together: few enough, and a divisor of all."""
        count, most = self.slices_of(network), MOST_SLICES_TOGETHER if network == "lite" else 1
        return next(size for size in range(min(most, count), 0, -1) if count % size == 0)


def read_settings(folder: Path) -> Settings:
    """Read what `main` wrote for the processes that it starts."""
    values = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    lists = {name: tuple(values[name]) for name in ("networks", "backends")}
    return Settings(**(values | lists))


def median_seconds(run: Callable[[], object], repeats: int) -> float:
    """Run `repeats` times, the caller having warmed up; return the median."""
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def measure(backend: str, network: str, folder: Path, open_backend: Callable[[], Run]) -> Line:
    """Measure one backend in this process.

    Parameters
    ----------
    backend, network
        The line's name.
    folder
        Holds the inputs, and the classes that the first backend found.
    open_backend
        Loads the network.

    Returns
    -------
    Line
        Its peak memory is that of this process up to now.
    """
    settings = read_settings(folder)
    image_NCSS: NDArray[np.float32] = np.load(folder / f"{network}.npy", allow_pickle=False)
    batches = np.split(image_NCSS, len(image_NCSS) // settings.batch_of(network))
    what = f"{len(image_NCSS)} of {image_NCSS.shape[-1]}x{image_NCSS.shape[-1]}"
    try:
        run = open_backend()
        classes = np.concatenate([run(batch).argmax(axis=1).astype(np.uint8) for batch in batches])
        seconds = median_seconds(lambda: [run(batch) for batch in batches], settings.repeats)
    except SkippedError as reason:
        return Line(network, backend, what, skipped=str(reason))
    reference = folder / f"{network}-classes.npy"
    agreement = None
    if backend == BACKENDS[0]:
        np.save(reference, classes)
    elif reference.exists():
        agreement = float((np.load(reference, allow_pickle=False) == classes).mean())
    return Line(network, backend, what, seconds, peak_mib(), agreement)


def peak_mib() -> float:
    """Return the largest resident memory of this process up to now, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def answer(folder: Path, line: Line) -> None:
    """Hand a line to the process that started this one."""
    (folder / "line.json").write_text(json.dumps(asdict(line)), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every line, and write the report."""
    asked = _parse(arguments)
    settings = Settings(
        networks=_known(asked.networks, NETWORKS),
        backends=_known(asked.backends, BACKENDS),
        repeats=asked.repeats,
        threads=asked.threads,
        slices=asked.slices,
        full_slices=asked.full_slices,
        matrix=asked.matrix,
    )
    # before this benchmark loads the machine itself
    machine = describe_machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "settings.json").write_text(json.dumps(asdict(settings)), encoding="utf-8")
        _start("benchmarks.inference_torch", "prepare", folder, settings.threads)
        lines = [_line("benchmarks.inference_torch", "segment", folder, settings)]
        lines += [
            _measured(network, backend, folder, settings)
            for network in settings.networks
            for backend in settings.backends
        ]
    stem = f"inference_{machine.slug}_{datetime.now(UTC):%Y%m%d}"
    written = write_report(asked.out / stem, machine, asdict(settings), lines)
    print(written.read_text(encoding="utf-8"))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inference", description=__doc__)
    parser.add_argument("--networks", default="lite,full", help="of lite and full")
    parser.add_argument("--backends", default=",".join(BACKENDS), help="separated by commas")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each line")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--slices", type=int, default=32, help="of a volume, and of a lite run")
    parser.add_argument("--full-slices", type=int, default=1, help="of a run of the full network")
    parser.add_argument("--matrix", type=int, default=512, help="rows and columns of a slice")
    out = Path(__file__).parent / "results"
    parser.add_argument("--out", type=Path, default=out, help="folder of the report")
    return parser.parse_args(arguments)


def _known(asked: str, known: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a list, in the order of `known`."""
    names = asked.split(",")
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"not known: {', '.join(unknown)}; known: {', '.join(known)}")
    return tuple(name for name in known if name in names)


def _measured(network: str, backend: str, folder: Path, settings: Settings) -> Line:
    is_torch = backend.startswith(("eager", "torch"))
    module = "benchmarks.inference_torch" if is_torch else "benchmarks.inference_onnx"
    return _line(module, f"{network}: {backend}", folder, settings)


def _line(module: str, step: str, folder: Path, settings: Settings) -> Line:
    _start(module, step, folder, settings.threads)
    return Line(**json.loads((folder / "line.json").read_text(encoding="utf-8")))


def _start(module: str, step: str, folder: Path, threads: int) -> None:
    print(f"{step} ...", file=sys.stderr)
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    subprocess.run([sys.executable, "-m", module, step, str(folder)], env=environment, check=True)


if __name__ == "__main__":
    main()
