"""How soon a queued analysis starts: alone, and a STAT one behind many of routine.

::

    python -m benchmarks.queueing --repeats 30

The worker is the node's own, in a process of its own, with steps that only tell the time; what is
measured is the way from the commit of the transaction that enqueues to the first step. Besides
SQLite it measures on PostgreSQL where ``MIDLINE_TEST_DATABASE_URL`` names a server.
"""

import argparse
import contextlib
import itertools
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.inference_report import describe_machine
from benchmarks.reporting import percentile, write_results
from node.engine import Queues, migrate
from storage.database import Database
from storage.records import Priority
from tests.support.databases import SERVER, database_url
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[1]
SIZES = (100, 1_000, 10_000)
JOB_SECONDS = 0.1
"""How long a routine analysis keeps the worker: one that is idle soon."""
IDLE_SECONDS = 10.0
AT_ONCE = 500
"""Analyses that are enqueued in one transaction while the queue is filled."""
PATIENCE_SECONDS = 60.0


class Worker:
    """The process that works on the queue, and what it has told."""

    def __init__(self, url: str, *, job_seconds: float) -> None:
        command = [sys.executable, "-m", "benchmarks.queueing_worker", url]
        command += ["--job-seconds", str(job_seconds)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.starts: dict[int, float] = {}
        self.ends: dict[int, float] = {}
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            kind, number, *when = line.split()
            if kind != "worker":
                (self.starts if kind == "start" else self.ends)[int(number)] = float(when[0])

    def cpu_seconds(self) -> float:
        """CPU time of the process up to now."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="utf-8")
        user, system = fields.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """Stop the process, in the middle of whatever it does."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._thread.join()


class Site:
    """A database with a queue, and numbers of jobs that were not used yet."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.database = Database(url)
        self.database.upgrade()
        migrate(self.database)
        self.queues = Queues(self.database.engine)
        self._numbers = iter(range(1, sys.maxsize))

    def enqueue(
        self, number: int, priority: Priority = Priority.ROUTINE
    ) -> tuple[list[int], float]:
        """Enqueue analyses in one transaction; their numbers, and when it was committed."""
        numbers = [next(self._numbers) for _ in range(number)]
        with self.database.begin() as transaction:
            for job_id in numbers:
                self.queues.analyse(transaction.session, job_id, priority=priority)
        return numbers, time.time()

    @contextmanager
    def worker(self, *, job_seconds: float = 0.0) -> Iterator[Worker]:
        """Run a worker that has proved that it works."""
        worker = Worker(self.url, job_seconds=job_seconds)
        try:
            (number,), _ = self.enqueue(1, Priority.STAT)
            eventually(lambda: number in worker.ends, seconds=PATIENCE_SECONDS)
            yield worker
        finally:
            worker.stop()

    def close(self) -> None:
        """Let go of the database."""
        self.queues.close()
        self.database.close()


@contextmanager
def site(kind: str) -> Iterator[Site]:
    """Open an empty database: ``sqlite``, or ``postgresql`` on the server of the tests."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = f"sqlite:///{folder / 'midline.sqlite'}"
        if kind != "sqlite":
            url = stack.enter_context(database_url(folder))
        there = Site(url)
        stack.callback(there.close)
        yield there


def measure_start(there: Site, *, repeats: int, seed: int) -> list[float]:
    """Seconds from the commit to the start, with a worker that has nothing else to do."""
    chance = random.Random(seed)  # noqa: S311 - moments within the worker's rhythm
    waits = []
    with there.worker() as worker:
        time.sleep(1)
        for _ in range(repeats):
            time.sleep(chance.uniform(0.3, 0.6))
            (number,), committed = there.enqueue(1)
            waits.append(_started(worker, number) - committed)
    return waits


def measure_idle(there: Site, *, seconds: float) -> float:
    """Share of one core that a worker takes that has nothing to do."""
    with there.worker() as worker:
        time.sleep(2)
        before = worker.cpu_seconds()
        time.sleep(seconds)
        return (worker.cpu_seconds() - before) / seconds


def measure_stat(
    there: Site, *, behind: int, repeats: int, seed: int
) -> tuple[list[float], list[float]]:
    """Start STAT analyses while many of routine wait.

    Returns
    -------
    waits, gaps : list of float
        Seconds from commit to start of STAT analyses, and between the end of an analysis and the
        start of the next one.
    """
    left = behind
    while left > 0:
        there.enqueue(min(left, AT_ONCE))
        left -= AT_ONCE
    chance = random.Random(seed)  # noqa: S311 - moments within an analysis
    waits = []
    with there.worker(job_seconds=JOB_SECONDS) as worker:
        for _ in range(repeats):
            time.sleep(chance.uniform(0.2, 0.6))
            (number,), committed = there.enqueue(1, Priority.STAT)
            waits.append(_started(worker, number) - committed)
        order = sorted(worker.ends, key=lambda number: worker.starts[number])
        gaps = [
            worker.starts[after] - worker.ends[before]
            for before, after in itertools.pairwise(order)
        ]
    return waits, gaps


def _started(worker: Worker, number: int) -> float:
    eventually(lambda: number in worker.starts, seconds=PATIENCE_SECONDS)
    return worker.starts[number]


def measure(
    *,
    kinds: Sequence[str] = ("sqlite",),
    repeats: int = 30,
    sizes: Sequence[int] = SIZES,
    idle_seconds: float = IDLE_SECONDS,
    seed: int = 1,
) -> dict[str, object]:
    """Measure starts on each kind of database.

    Parameters
    ----------
    kinds
        ``sqlite``, ``postgresql``.
    repeats
        Starts of each measurement.
    sizes
        How many analyses of routine wait before the STAT ones; each is measured on a new database.
    idle_seconds
        How long an idle worker is watched.
    seed
        Of the moments at which analyses are enqueued.
    """
    found: dict[str, object] = {}
    for kind in kinds:
        with site(kind) as there:
            alone = measure_start(there, repeats=repeats, seed=seed)
            idle = measure_idle(there, seconds=idle_seconds)
        behind = {}
        for size in sizes:
            with site(kind) as there:
                waits, gaps = measure_stat(there, behind=size, repeats=repeats, seed=seed)
            behind[str(size)] = {"stat": _summary(waits), "gap": _summary(gaps)}
        found[kind] = {
            "enqueue_to_start": _summary(alone),
            "idle_core_percent": round(100 * idle, 2),
            "behind": behind,
        }
    return found


def _summary(seconds: Sequence[float]) -> dict[str, float]:
    """Median, 95th percentile and most, in milliseconds."""
    in_ms = [1000 * each for each in seconds]
    return {
        "number": len(in_ms),
        "median_ms": round(statistics.median(in_ms), 1),
        "p95_ms": round(percentile(in_ms, 95), 1),
        "most_ms": round(max(in_ms), 1),
    }


def table(found: Mapping[str, object]) -> list[str]:
    """Write what was found as a table."""
    lines = [
        "| database | what | number | median ms | p95 ms | most ms |",
        "|---|---|---|---|---|---|",
    ]
    for kind, measured in found.items():
        assert isinstance(measured, dict)  # noqa: S101 - as `measure` makes it
        rows = [("commit to start, idle worker", measured["enqueue_to_start"])]
        for size, both in measured["behind"].items():
            rows.append((f"STAT behind {size} of routine ({JOB_SECONDS:g} s each)", both["stat"]))
            rows.append((f"end to next start, {size} queued", both["gap"]))
        lines += [
            f"| {kind} | {what} | {row['number']} | {row['median_ms']} | {row['p95_ms']} "
            f"| {row['most_ms']} |"
            for what, row in rows
        ]
        lines.append(
            f"| {kind} | idle worker, % of a core | | {measured['idle_core_percent']} | | |"
        )
    return lines


def main() -> None:
    """Measure, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="analyses that wait")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    machine = describe_machine()
    kinds = ("sqlite", "postgresql") if SERVER in os.environ else ("sqlite",)
    sizes = [int(size) for size in options.sizes.split(",")]
    settings = {"repeats": options.repeats, "sizes": sizes, "seed": options.seed}
    found = measure(kinds=kinds, repeats=options.repeats, sizes=sizes, seed=options.seed)
    write_results(
        "queueing",
        options.out,
        title="From queued to started",
        settings=settings,
        found=found,
        lines=table(found),
        machine=machine,
    )


if __name__ == "__main__":
    main()
