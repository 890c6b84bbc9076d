"""The node under a Poisson load, and what the simulation says of the same arrivals.

Small studies come at random moments to a node with one worker and more. How long each waits for a
worker, how long it is worked on and when its report arrives is in the index. The simulation knows
the durations of the lightest load, how long a worker takes from one analysis to the next, and how
much workers slow each other down (from queues that were worked off at full speed); the heavier
loads it has to predict. It gets the moments at which jobs were queued, so that the chance of the
arrivals is not taken for an error of the model.
"""

import random
import statistics
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks import copies, dcmtk
from benchmarks.progress import Tell, silent
from benchmarks.reporting import percentile
from benchmarks.simulation.events import Arrival, Stage, simulate
from benchmarks.simulation.fit import Lognormal, fitted
from benchmarks.sites import Passage, Site, running_site
from node.evidence import KNOWN_AFTER_STUDIES

TITLE = "Under load, measured and simulated"
PATIENCE_SECONDS = 3600.0
REPLICATIONS = 200
SETTINGS = {"analysis": {"threads": 1}}


@dataclass(frozen=True)
class Model:
    """What the simulation is told of an analysis.

    Attributes
    ----------
    work
        Duration with one worker.
    dispatch
        From a worker's being free to its next beginning.
    speeds
        Speed of each worker while so many work, one worker's being 1.
    """

    work: Lognormal
    dispatch: Lognormal
    speeds: Mapping[int, float]

    def speed(self, busy: int) -> float:
        """Speed of each worker; beyond what was measured it falls as 1 / busy."""
        known = max(count for count in self.speeds if count <= busy)
        return self.speeds[known] * known / busy


def num_steps(*, counts: Sequence[int] = (1, 2), shares: Sequence[float] = (0.3, 0.5, 0.8)) -> int:
    """Count the queues that are worked off, and the loads."""
    return len(counts) * (1 + len(shares))


def measure(
    *,
    counts: Sequence[int] = (1, 2),
    shares: Sequence[float] = (0.3, 0.5, 0.8),
    studies: int = 200,
    queued: int = 40,
    seed: int = 1,
    tell: Tell = silent,
) -> dict[str, object]:
    """Measure and simulate.

    Parameters
    ----------
    counts
        Of workers; 1 first.
    shares
        Loads, as shares of the rate at which so many workers work off a queue; the lightest of one
        worker is what the simulation learns from.
    studies
        Of each load.
    queued
        Studies for each worker in a queue that is worked off.
    seed
        Of the arrivals.
    tell
        Is told of each queue and load.
    """
    template = copies.tiny_head()
    full: dict[int, dict[str, float]] = {}
    loads: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name, dcmtk.storescp(Path(name) / "received") as peer:
        for count in counts:
            tell(f"{count} worker(s), a queue")
            with running_site(
                Path(name) / f"queue{count}", "listen", destination=peer, tables=SETTINGS
            ) as site:
                full[count] = _work_off(site, template, count, queued)
            folder = Path(name) / f"load{count}"
            with running_site(folder, "listen", destination=peer, tables=SETTINGS) as site:
                site.start("analyse", count)
                site.start("deliver")
                _make_known(site, template)
                for share in shares:
                    tell(f"{count} worker(s), {100 * share:.0f} % of their rate")
                    rate = share * full[count]["rate"]
                    passed = _load(site, template, rate, studies, f"{seed} {count} {share}")
                    loads.append(
                        {"workers": count, "share": share, "offered": round(rate, 4)} | _raw(passed)
                    )
    model = model_of(full, loads[0])
    return {
        "studies": studies,
        "full": {str(count): values for count, values in full.items()},
        "model": {
            "work": vars(model.work),
            "dispatch": vars(model.dispatch),
            "speeds": {str(count): round(speed, 4) for count, speed in model.speeds.items()},
        },
        "loads": [load | compare(load, model, is_learned=n == 0) for n, load in enumerate(loads)],
    }


def model_of(full: Mapping[int, Mapping[str, float]], lightest: Mapping[str, Any]) -> Model:
    """Learn the model from queues that were worked off, and from the lightest load."""
    alone = full[min(full)]
    return Model(
        work=fitted(lightest["services"]),
        dispatch=Lognormal(alone["dispatch_seconds"], alone["dispatch_variation"]),
        speeds={
            count: alone["work_seconds"] / each["work_seconds"] for count, each in full.items()
        },
    )


def compare(
    load: Mapping[str, Any], model: Model, *, is_learned: bool, replications: int = REPLICATIONS
) -> dict[str, object]:
    """Simulate the arrivals of a load many times, and say how far measured and simulated differ."""
    arrivals = [Arrival(at) for at in load["queued"]]
    stage = Stage(
        "analysis",
        work=model.work,
        servers=load["workers"],
        dispatch=model.dispatch,
        speed=model.speed,
    )
    means, p95s, rates = [], [], []
    for number in range(replications):
        journeys = simulate(arrivals, [stage], seed=number)
        waits = [journey.waited(0) for journey in journeys]
        means.append(statistics.fmean(waits))
        p95s.append(percentile(waits, 95))
        last = max(journey.ended[0] for journey in journeys)
        rates.append(len(journeys) / (last - arrivals[0].at))
    last = max(
        start + service for start, service in zip(load["starts"], load["services"], strict=True)
    )
    return {
        "is_learned": is_learned,
        "rate": _against(len(arrivals) / (last - arrivals[0].at), rates),
        "mean_wait": _against(statistics.fmean(load["waits"]), means),
        "p95_wait": _against(percentile(load["waits"], 95), p95s),
    }


def _against(measured: float, simulated: Sequence[float]) -> dict[str, float | bool]:
    mean = statistics.fmean(simulated)
    low, high = percentile(simulated, 2.5), percentile(simulated, 97.5)
    return {
        "measured": round(measured, 4),
        "simulated": round(mean, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "deviation": round(measured / mean - 1, 4),
        "is_within": low <= measured <= high,
    }


def _send(site: Site, template: copies.Template) -> None:
    with tempfile.TemporaryDirectory(dir=site.folder) as name:
        files = template.write(Path(name), copies.new_token())
        dcmtk.send([files], site.peer)


def _make_known(site: Site, template: copies.Template) -> None:
    """Let the node learn the sender's habits, and everything be loaded."""
    for _ in range(KNOWN_AFTER_STUDIES):
        _send(site, template)
    site.wait_until_sent(KNOWN_AFTER_STUDIES, PATIENCE_SECONDS)


def _work_off(site: Site, template: copies.Template, count: int, queued: int) -> dict[str, float]:
    """Queue studies, then start workers; how fast they are once all of them work."""
    num = count * queued
    for _ in range(num):
        _send(site, template)
    site.wait(lambda: sum(site.counts().values()) >= num, "not queued", PATIENCE_SECONDS)
    site.start("analyse", count)
    site.wait_until_analysed(num, PATIENCE_SECONDS)
    passed = sorted(site.passages(), key=lambda each: each.started)
    by_worker: dict[str, list[Passage]] = {}
    for each in passed:
        by_worker.setdefault(each.worker, []).append(each)
    # from when the last worker has warmed up, to when the first has nothing more to do
    begin = max(each[min(1, len(each) - 1)].started for each in by_worker.values())
    end = min(each[-1].finished for each in by_worker.values())
    gaps = [
        after.started - before.finished
        for each in by_worker.values()
        for before, after in pairwise(each)
    ]
    inside = [each for each in passed if begin <= each.started and each.finished <= end]
    work = fitted([each.finished - each.started for each in inside])
    dispatch = fitted(gaps)
    return {
        "rate": round(count / (work.mean + dispatch.mean), 4),
        "work_seconds": round(work.mean, 4),
        "work_variation": round(work.variation, 4),
        "dispatch_seconds": round(dispatch.mean, 4),
        "dispatch_variation": round(dispatch.variation, 4),
    }


def _load(site: Site, template: copies.Template, rate: float, num: int, seed: str) -> list[Passage]:
    """Send studies at random moments, wait for their reports, and say how they passed."""
    chance = random.Random(seed)  # noqa: S311 - a test's chance
    before = len(site.passages())
    threads = []
    due = time.monotonic()
    for _ in range(num):
        due += chance.expovariate(rate)
        time.sleep(max(0.0, due - time.monotonic()))
        thread = threading.Thread(target=_send, args=(site, template))
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join()
    site.wait_until_sent(before + num, PATIENCE_SECONDS)
    return site.passages()[before:]


def _raw(passed: Sequence[Passage]) -> dict[str, list[float]]:
    """Moments and durations in seconds, from the first one on."""
    first = min(each.queued for each in passed)
    ordered = sorted(passed, key=lambda each: each.queued)
    return {
        "queued": [round(each.queued - first, 4) for each in ordered],
        "starts": [round(each.started - first, 4) for each in ordered],
        "waits": [round(each.started - each.queued, 4) for each in ordered],
        "services": [round(each.finished - each.started, 4) for each in ordered],
        "deliveries": [round(each.sent - each.finished, 4) for each in ordered if each.sent],
    }


def table(found: Mapping[str, Any]) -> list[str]:
    """Write what was found as a table."""
    model, full = found["model"], found["full"]
    lines = [
        (
            f"{found['studies']} tiny studies of each load. An analysis takes "
            f"{model['work']['mean']:.3f} s (variation {model['work']['variation']:.2f}), a worker "
            f"{1000 * model['dispatch']['mean']:.0f} ms from one to the next; worked off at full "
            "speed: "
            + ", ".join(f"{count} worker(s) {each['rate']:.2f}/s" for count, each in full.items())
            + ". In brackets: what 95 % of the simulations say."
        ),
        "",
        (
            "| workers | load | studies/s, measured | simulated | mean wait, s, measured "
            "| simulated | 95 % wait no longer, s, measured | simulated |"
        ),
        "|--:|--:|--:|---|--:|---|--:|---|",
    ]
    for load in found["loads"]:
        cells = [str(load["workers"]), f"{100 * load['share']:.0f} %"]
        for what in ("rate", "mean_wait", "p95_wait"):
            each = load[what]
            cells += [
                f"{each['measured']:.3f}",
                f"{each['simulated']:.3f} ({each['low']:.3f} to {each['high']:.3f})",
            ]
        learned = " (learned from)" if load["is_learned"] else ""
        lines.append(f"| {cells[0]} | {cells[1]}{learned} | {' | '.join(cells[2:])} |")
    return lines
