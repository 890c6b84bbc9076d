"""Figures for Prometheus: how the node stands, read at each scrape, and how long things took.

The histograms count what ends while this process runs; they begin at zero with it, as counters of
Prometheus do. Nothing names a patient, a study or a UID: labels are states, roles, outcomes, and
the names that the site gave its destinations.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from config.errors import MidlineError
from node.operating.overview import Overview
from node.page import words
from storage.database import Database

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LATE = timedelta(minutes=1)
"""So much later than its time a row may become visible: it is written first and committed then."""
ROLES = ("analyse", "deliver")
SECONDS_TO_REPORT = (5, 10, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1800, 3600)
SECONDS_TO_ARRIVE = (0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 3600, 21600, 86400)
SECONDS_TO_ANSWER = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 5)


class Figures:
    """All figures of the page's process.

    Parameters
    ----------
    database
        Where it is read what ended.
    overview
        Tells how the node stands.
    """

    def __init__(self, database: Database, overview: Callable[[], Overview]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(NodeCollector(overview))
        self._ended = Ended(database, self._registry)
        self._requests = Counter(
            "midline_page_requests",
            "Requests that the page answered.",
            ("path", "status"),
            registry=self._registry,
        )
        self._answers = Histogram(
            "midline_page_answer_seconds",
            "How long the page took to answer.",
            buckets=SECONDS_TO_ANSWER,
            registry=self._registry,
        )
        self._ended.look()

    def observe(self, pattern: str, status: int, seconds: float) -> None:
        """Note an answer of the page."""
        self._requests.labels(pattern, str(status)).inc()
        self._answers.observe(seconds)

    def write(self) -> bytes:
        """Write all figures in the text format of Prometheus."""
        self._ended.look()
        return generate_latest(self._registry)


class Ended:
    """Histograms of what ended since this process began: reports, deliveries."""

    def __init__(self, database: Database, registry: CollectorRegistry) -> None:
        self._database, self._lock = database, threading.Lock()
        self._began: datetime | None = None
        self._looked_at: datetime | None = None
        self._counted: set[tuple[str, int, datetime]] = set()
        self._report = Histogram(
            "midline_report_seconds",
            "From the last image of a study to its report.",
            ("outcome",),
            buckets=SECONDS_TO_REPORT,
            registry=registry,
        )
        self._work = Histogram(
            "midline_analysis_seconds",
            "From the start of an analysis to its report.",
            buckets=SECONDS_TO_REPORT,
            registry=registry,
        )
        self._delivery = Histogram(
            "midline_delivery_seconds",
            "From the recording of a result to its arrival.",
            ("destination",),
            buckets=SECONDS_TO_ARRIVE,
            registry=registry,
        )
        for outcome in words.OUTCOMES:
            self._report.labels(outcome)

    def look(self) -> None:
        """Count what ended since the last look; a database that is away is looked at next time."""
        with self._lock:
            try:
                self._look()
            except MidlineError:
                return

    def _look(self) -> None:
        """Read again what became visible late, and count only what was not counted."""
        with self._database.read() as transaction:
            now = transaction.now()
            began = self._began = self._began or now
            since = max(began, (self._looked_at or now) - LATE)
            finished, sent = transaction.listing.finished(since), transaction.listing.sent(since)
        ended = {("job", job.id, job.finished_at) for job in finished}
        ended |= {("delivery", delivery.id, delivery.sent_at) for delivery in sent}
        for job in finished:
            if ("job", job.id, job.finished_at) not in self._counted:
                self._report.labels(job.outcome).observe(job.report_seconds)
                self._work.observe(job.work_seconds)
        for delivery in sent:
            if ("delivery", delivery.id, delivery.sent_at) not in self._counted:
                self._delivery.labels(delivery.destination).observe(delivery.seconds)
        self._counted, self._looked_at = ended, now


class NodeCollector(Collector):
    """How the node stands, read from the index when somebody asks."""

    def __init__(self, overview: Callable[[], Overview]) -> None:
        self._overview = overview

    def collect(self) -> Iterator[Metric]:
        """Read all gauges; without a database there is but one that says so."""
        try:
            overview = self._overview()
        except MidlineError:
            yield _gauge("midline_database_up", "Whether the index answers.", 0)
            return
        yield _gauge("midline_database_up", "Whether the index answers.", 1)
        yield from _of_work(overview)
        yield from _of_workers(overview)
        yield from _of_destinations(overview)
        yield from _of_disk(overview)


def _gauge(name: str, sentence: str, value: float) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(name, sentence)
    gauge.add_metric([], value)
    return gauge


def _gauges(
    name: str, sentence: str, label: str, values: Iterable[tuple[str, float]]
) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(name, sentence, labels=[label])
    for key, value in values:
        gauge.add_metric([key], value)
    return gauge


def _of_work(overview: Overview) -> Iterator[Metric]:
    yield _gauges("midline_studies", "Studies by state.", "state", overview.studies.items())
    yield _gauges("midline_jobs", "Analyses by state.", "state", overview.jobs.items())
    outcomes = {**dict.fromkeys(words.OUTCOMES, 0), **overview.outcomes}
    yield _gauges("midline_reports", "Reports by outcome.", "outcome", outcomes.items())
    waiting = overview.oldest_waiting
    yield _gauge(
        "midline_oldest_waiting_seconds",
        "Since the last image of the complete study that waits longest for its report; or 0.",
        0.0 if waiting is None else waiting.seconds,
    )
    yield _gauge(
        "midline_quarantined_studies",
        "Studies that nobody processes until somebody has looked.",
        overview.studies.get("QUARANTINED", 0),
    )


def _of_workers(overview: Overview) -> Iterator[Metric]:
    def count(*, alive: bool) -> Iterator[tuple[str, float]]:
        for role in ROLES:
            yield role, sum(w.alive is alive and w.role == role for w in overview.workers)

    yield _gauges(
        "midline_workers_alive", "Workers with a sign of life.", "role", count(alive=True)
    )
    yield _gauges(
        "midline_workers_silent", "Workers without one for too long.", "role", count(alive=False)
    )
    beats: dict[str, float] = {}
    for worker in overview.workers:
        beats[worker.role] = max(beats.get(worker.role, 0.0), worker.beat_at.timestamp())
    yield _gauges(
        "midline_last_sign_of_life_timestamp_seconds",
        "When a worker of a role last gave a sign of life.",
        "role",
        beats.items(),
    )
    drained = {each.role for each in overview.draining}
    yield _gauges(
        "midline_drained",
        "Whether workers of a role take nothing new, on an operator's wish.",
        "role",
        ((role, float(role in drained)) for role in ROLES),
    )


def _of_destinations(overview: Overview) -> Iterator[Metric]:
    destinations = overview.destinations
    deliveries = GaugeMetricFamily(
        "midline_deliveries",
        "Results by destination and what became of them.",
        labels=["destination", "state"],
    )
    for each in destinations:
        deliveries.add_metric([each.destination, "PENDING"], each.num_pending)
        deliveries.add_metric([each.destination, "SENT"], each.num_sent)
        deliveries.add_metric([each.destination, "DEAD"], each.num_dead)
    yield deliveries
    yield _gauges(
        "midline_oldest_delivery_seconds",
        "Since the oldest result was made that a destination has not got yet; or 0.",
        "destination",
        ((each.destination, _age(each.oldest_pending_at, overview.now)) for each in destinations),
    )
    yield _gauges(
        "midline_uncommitted",
        "Results that a destination got and has not answered for yet.",
        "destination",
        ((each.destination, each.num_uncommitted) for each in destinations),
    )
    yield _gauges(
        "midline_not_committed",
        "Results that a destination got and does not commit to, or never answered for.",
        "destination",
        (
            (each.destination, each.num_commitment_failed + each.num_unanswered)
            for each in destinations
        ),
    )


def _of_disk(overview: Overview) -> Iterator[Metric]:
    disk = overview.disk
    for name, sentence, value in (
        ("midline_disk_free_bytes", "Room in the folder of the node.", disk.free_bytes),
        ("midline_disk_size_bytes", "Size of its file system.", disk.total_bytes),
        (
            "midline_disk_reserve_bytes",
            "With less than this free, no image is accepted.",
            disk.reserve_bytes,
        ),
    ):
        if value is not None:
            yield _gauge(name, sentence, value)


def _age(moment: datetime | None, now: datetime) -> float:
    return 0.0 if moment is None else max(0.0, (now - moment).total_seconds())
