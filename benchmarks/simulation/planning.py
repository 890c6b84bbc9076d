"""The generated part of docs/scaling.md: what was simulated, and what networks need, as tables."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.simulation import days
from benchmarks.simulation.capacity import Assumptions, Carried, Need, bounds, carried_by, need
from benchmarks.simulation.events import simulate

DAY_STUDIES = 10_000
HOSPITALS = 1000
PARTS: tuple[int, ...] = (1, 5, 20)
SEED = 1


@dataclass(frozen=True)
class Day:
    """A simulated day with a number of workers.

    Attributes
    ----------
    workers
        How many.
    hours
        Wait for a worker, by hour, that the wanted share does not exceed, in seconds.
    busiest
        Of the busiest hour.
    stat, routine
        Of urgent and other studies of that hour.
    to_report
        From the first image to the report's arrival, median of that hour.
    """

    workers: int
    hours: tuple[float, ...]
    busiest: float
    stat: float
    routine: float
    to_report: float


def simulate_days(carried: Carried, assumed: Assumptions) -> list[Day]:
    """Simulate a day with fewer and more workers than are planned."""
    planned = need(DAY_STUDIES, carried, assumed)
    arrivals = days.day(DAY_STUDIES, assumed, seed=SEED)
    found = []
    for workers in sorted({max(1, planned.cpu_workers + more) for more in (-1, 0, 1)}):
        stages = days.way(
            carried,
            assumed,
            listeners=planned.listeners,
            workers=workers,
            seconds=carried.analysis_seconds,
        )
        journeys = simulate(arrivals, stages, seed=SEED)
        peak = days.busiest(journeys)
        stat = [each for each in peak if each.arrival.priority == 0]
        routine = [each for each in peak if each.arrival.priority > 0]
        ordered = sorted(each.seconds for each in peak)
        found.append(
            Day(
                workers,
                tuple(days.waits_by_hour(journeys, assumed.wait_share)),
                days.wait_of(peak, assumed.wait_share),
                days.wait_of(stat, assumed.wait_share),
                days.wait_of(routine, assumed.wait_share),
                ordered[len(ordered) // 2],
            )
        )
    return found


def simulate_parts(carried: Carried, assumed: Assumptions) -> list[tuple[int, int, float]]:
    """Partition a network: parts, workers in all, and the wait in the busiest hour, in seconds."""
    studies = HOSPITALS * assumed.studies_of_a_hospital
    arrivals = days.day(studies, assumed, seed=SEED)
    found = []
    for parts in PARTS:
        each = need(studies // parts, carried, assumed)
        stages = days.way(
            carried,
            assumed,
            listeners=each.listeners,
            workers=each.cpu_workers,
            seconds=carried.analysis_seconds,
        )
        journeys = days.partitioned(arrivals, stages, parts, seed=SEED)
        wait = days.wait_of(days.busiest(journeys), assumed.wait_share)
        found.append((parts, parts * each.cpu_workers, wait))
    return found


def plan(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Simulate what the measurements come to; plain JSON, from which the page is made.

    Raises
    ------
    KeyError
        If a benchmark that is needed has no figures; its name.
    """
    carried, assumed = carried_by(results), Assumptions()
    return {
        "carried": asdict(carried),
        "days": [asdict(day) for day in simulate_days(carried, assumed)],
        "parts": [list(each) for each in simulate_parts(carried, assumed)],
    }


def tables(planned: Mapping[str, Any]) -> list[str]:
    """Write all tables of the page from what `plan` gave back."""
    carried, assumed = Carried(**planned["carried"]), Assumptions()
    return [
        *_carried(carried, assumed),
        *_bounds(carried, assumed),
        *_needs(carried, assumed),
        *_days([Day(**day) for day in planned["days"]], assumed),
        *_parts([tuple(each) for each in planned["parts"]], assumed),
    ]


def _carried(carried: Carried, assumed: Assumptions) -> Iterable[str]:
    yield "### What goes in"
    yield ""
    yield "| figure | value | from |"
    yield "|---|--:|---|"
    rows = [
        ("one listener, images/s", f"{carried.images_per_second:.0f}", "measured: receive"),
        (
            "one CPU worker, s a study",
            f"{carried.analysis_seconds:.2f}",
            "measured: turnaround; light network, 32 slices",
        ),
        ("its variation", f"{carried.analysis_variation:.2f}", "measured: load"),
        ("results of a study sent in, s", f"{carried.delivery_seconds:.3f}", "measured: deliver"),
        ("one SQLite, images/s", f"{carried.registrations_sqlite:.0f}", "measured: database"),
        (
            "one PostgreSQL, images/s",
            f"{carried.registrations_per_second:.0f}" if carried.registrations_per_second else "-",
            "measured: database" if carried.registrations_per_second else "not measured",
        ),
        ("an image, MB", f"{carried.megabytes_each:.2f}", "measured: receive"),
        ("one GPU worker, s a study", f"{assumed.gpu_seconds:g}", "**assumed**"),
        ("images of a study", f"{assumed.images_each}", "**assumed**"),
        ("head CT of a hospital a day", f"{assumed.studies_of_a_hospital}", "**assumed**"),
        ("share of the busiest hour", f"{100 * assumed.busiest_hour:.0f} %", "**assumed**"),
        ("further transactions of a study", f"{assumed.transactions_of_a_study:g}", "**assumed**"),
        ("urgent studies", f"{100 * days.STAT_SHARE:.0f} %", "**assumed**"),
        ("PACS, s to store", f"{days.PACS_SECONDS:g}", "**assumed**"),
    ]
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def _bounds(carried: Carried, assumed: Assumptions) -> Iterable[str]:
    yield "### What breaks first"
    yield ""
    yield (
        f"Studies a day at which each part is busy for {100 * assumed.most_load:.0f} % of the "
        "busiest hour: the first one is to be doubled first."
    )
    yield ""
    yield "| part | studies a day |"
    yield "|---|--:|"
    yield from (f"| {what} | {number:,} |" for what, number in bounds(carried, assumed))
    yield ""


def _needs(carried: Carried, assumed: Assumptions) -> Iterable[str]:
    network = HOSPITALS * assumed.studies_of_a_hospital
    yield "### What it takes"
    yield ""
    yield (
        f"In the busiest hour {100 * assumed.wait_share:.0f} % wait no longer than "
        f"{assumed.wait_seconds:g} s for a worker (M/G/c, Allen and Cunneen); listeners and "
        f"deliverers are busy for {100 * assumed.most_load:.0f} % at most."
    )
    yield ""
    columns = [
        ("one hospital", need(assumed.studies_of_a_hospital, carried, assumed)),
        (f"{DAY_STUDIES:,} studies a day", need(DAY_STUDIES, carried, assumed)),
        (f"{HOSPITALS:,} hospitals", need(network, carried, assumed)),
    ]
    yield f"| | {' | '.join(name for name, _ in columns)} |"
    yield "|---|" + "--:|" * len(columns)
    for title, words in _rows(assumed):
        yield f"| {title} | {' | '.join(words(each) for _, each in columns)} |"
    yield ""


def _rows(assumed: Assumptions) -> list[tuple[str, Callable[[Need], str]]]:
    def load(share: float | None) -> str:
        if share is None:
            return "not measured"
        return f"{100 * share:.1f} %" + (" **too much**" if share > assumed.most_load else "")

    return [
        ("studies a day", lambda n: f"{n.studies_per_day:,}"),
        ("studies/s, busiest hour", lambda n: f"{n.studies_per_second:.3f}"),
        ("images/s, busiest hour", lambda n: f"{n.images_per_second:.1f}"),
        ("listeners", lambda n: f"{n.listeners}"),
        ("CPU workers of two cores", lambda n: f"{n.cpu_workers}"),
        ("or GPU workers (assumed speed)", lambda n: f"{n.gpu_workers}"),
        ("slots of deliverers", lambda n: f"{n.deliverer_slots}"),
        ("one PostgreSQL is busy", lambda n: load(n.database_load)),
        ("one SQLite would be busy", lambda n: load(n.sqlite_load)),
        ("images, TB a day", lambda n: f"{n.terabytes_per_day:.3f}"),
        ("network in, Mbit/s, busiest hour", lambda n: f"{n.megabits_per_second:.0f}"),
    ]


def _days(found: Sequence[Day], assumed: Assumptions) -> Iterable[str]:
    percent = f"{100 * assumed.wait_share:.0f} %"
    yield f"### A day with {DAY_STUDIES:,} studies, simulated"
    yield ""
    yield (
        f"| CPU workers | {percent} wait no longer in the busiest hour, s | urgent ones, s "
        "| others, s | first image to report, median, s |"
    )
    yield "|--:|--:|--:|--:|--:|"
    for day in found:
        yield (
            f"| {day.workers} | {day.busiest:.1f} | {day.stat:.1f} | {day.routine:.1f} "
            f"| {day.to_report:.1f} |"
        )
    yield ""
    yield "![Wait for a worker by hour](scaling/day.png)"
    yield ""


def _parts(found: Sequence[tuple[int, int, float]], assumed: Assumptions) -> Iterable[str]:
    yield f"### {HOSPITALS:,} hospitals in regions, simulated"
    yield ""
    yield (
        "Each region has listeners, a database, workers and a deliverer of its own, as many as it "
        "needs by the table above."
    )
    yield ""
    percent = f"{100 * assumed.wait_share:.0f} %"
    yield f"| regions | CPU workers in all | {percent} wait no longer in the busiest hour, s |"
    yield "|--:|--:|--:|"
    yield from (f"| {parts} | {workers} | {wait:.1f} |" for parts, workers, wait in found)
