"""What one machine gains by more workers, apart from the analysis: each one only sleeps.

A queue of equal analyses is filled, then worked off by one to eight workers of the node's own
engine, each in a process of its own, with an analysis that sleeps. What is missing to the ideal is
the price of the queue; the CPU that workers take while they sleep says how many a core can carry.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

from benchmarks.progress import Tell, silent
from benchmarks.queueing import Site, Worker, site
from tests.support.waiting import eventually

TITLE = "Workers on one machine"
SLEEP_SECONDS = 0.5
PATIENCE_SECONDS = 900.0


def num_steps(*, kinds: Sequence[str], counts: Sequence[int]) -> int:
    """Count the queues that are worked off."""
    return len(kinds) * len(counts)


def measure(
    *,
    kinds: Sequence[str] = ("sqlite",),
    counts: Sequence[int] = (1, 2, 4, 8),
    each: int = 60,
    sleep_seconds: float = SLEEP_SECONDS,
    tell: Tell = silent,
) -> dict[str, object]:
    """Work off queues with more and more workers.

    Parameters
    ----------
    kinds
        ``sqlite``, ``postgresql``.
    counts
        Of workers.
    each
        Analyses for each worker.
    sleep_seconds
        Of one analysis.
    tell
        Is told of each queue.
    """
    cases = []
    for kind in kinds:
        for count in counts:
            tell(f"{count} worker(s) on {kind}")
            with site(kind) as there:
                cases.append({"database": kind} | _work_off(there, count, each, sleep_seconds))
    return {"sleep_seconds": sleep_seconds, "analyses_each": each, "cases": cases}


def _work_off(there: Site, count: int, each: int, sleep_seconds: float) -> dict[str, float]:
    """Time from the first start to the last end, all workers being there before."""
    with ExitStack() as stack:
        workers = [_ready(there, stack, sleep_seconds) for _ in range(count)]
        before = {number for worker in workers for number in worker.ends}
        cpu = sum(worker.cpu_seconds() for worker in workers)
        begun = time.monotonic()
        numbers, _ = there.enqueue(count * each)

        def left() -> int:
            ended = {number for worker in workers for number in worker.ends}
            return len(numbers) - len(ended - before)

        eventually(lambda: left() == 0, seconds=PATIENCE_SECONDS)
        wall_seconds = time.monotonic() - begun
        cpu = sum(worker.cpu_seconds() for worker in workers) - cpu
        starts = [at for w in workers for n, at in w.starts.items() if n not in before]
        ends = [at for w in workers for n, at in w.ends.items() if n not in before]
        shares = [len(worker.ends.keys() - before) for worker in workers]
    seconds = max(ends) - min(starts)
    rate = len(numbers) / seconds
    return {
        "workers": count,
        "rate": round(rate, 3),
        "ideal": round(count / sleep_seconds, 3),
        "efficiency": round(rate * sleep_seconds / count, 4),
        "core_percent_each": round(100 * cpu / wall_seconds / count, 2),
        "least_share": min(shares),
        "most_share": max(shares),
    }


def _ready(there: Site, stack: ExitStack, sleep_seconds: float) -> Worker:
    """Start a worker, and wait until it gives signs of life."""
    known = _alive(there)
    worker = Worker(there.url, job_seconds=sleep_seconds)
    stack.callback(worker.stop)
    eventually(lambda: _alive(there) - known, seconds=PATIENCE_SECONDS)
    return worker


def _alive(there: Site) -> set[str]:
    with there.database.read() as transaction:
        found = transaction.workers.alive(now=transaction.now(), timeout=timedelta(seconds=30))
    return {worker.executor_id for worker in found}


def table(found: Mapping[str, Any]) -> list[str]:
    """Write what was found as a table."""
    cases = found["cases"]
    lines = [
        (
            f"Analyses that sleep for {found['sleep_seconds']:g} s, {found['analyses_each']} for "
            "each worker. Efficiency: rate / (workers / duration)."
        ),
        "",
        (
            "| database | workers | analyses/s | efficiency | CPU of each, % of a core "
            "| least and most of one worker |"
        ),
        "|---|--:|--:|--:|--:|---|",
    ]
    return lines + [
        f"| {case['database']} | {case['workers']} | {case['rate']:.2f} "
        f"| {100 * case['efficiency']:.0f} % | {case['core_percent_each']:.1f} "
        f"| {case['least_share']}, {case['most_share']} |"
        for case in cases
    ]
