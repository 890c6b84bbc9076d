"""Figures for Prometheus: each ended thing counted once, and nothing about patients."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from config.errors import DatabaseBusyError
from config.settings import Settings
from node.operating.overview import Overview, look
from node.page.metrics import Figures
from storage.database import Database
from tests.support.databases import database_url
from tests.support.many_studies import fill
from tests.support.received import queued_job

LABELS = {"state", "outcome", "role", "destination", "path", "status", "le"}


class Node:
    """A node whose figures are read."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        settings = Settings.model_validate({"storage": {"folder": folder, "reserve_bytes": 5}})

        def overview() -> Overview:
            with database.read() as transaction:
                return look(transaction, settings)

        self.figures = Figures(database, overview)

    def values(self) -> dict[str, float]:
        """All samples by name and labels."""
        found = {}
        for family in text_string_to_metric_families(self.figures.write().decode()):
            for sample in family.samples:
                assert set(sample.labels) <= LABELS
                labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
                found[f"{sample.name}{{{labels}}}"] = sample.value
        return found


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with database_url(tmp_path) as url:
        database = Database(url)
        database.upgrade()
        yield Node(database, tmp_path)
        database.close()


def finish(database: Database, job_id: int) -> None:
    now = datetime.now(UTC)
    with database.begin() as transaction:
        transaction.jobs.start(job_id, "worker", now=now)
        assert transaction.jobs.finish(job_id, outcome="POSITIVE", now=now) is not None


def test_each_report_is_counted_once_however_often_it_is_read(node: Node) -> None:
    job_id = queued_job(node.database).id
    finish(node.database, job_id)
    name = "midline_report_seconds_count{outcome=POSITIVE}"
    assert [node.values()[name] for _ in range(3)] == [1, 1, 1]


def test_what_was_there_before_is_not_counted_and_no_count_goes_back(node: Node) -> None:
    fill(node.database, 50, now=datetime.now(UTC))
    node.figures.write()
    assert node.values()["midline_report_seconds_count{outcome=POSITIVE}"] == 0
    with node.database.begin() as transaction:
        assert transaction.jobs.requeue(10) is not None
    assert node.values()["midline_report_seconds_count{outcome=POSITIVE}"] == 0


def test_gauges_say_what_the_index_holds(node: Node) -> None:
    fill(node.database, 1000, now=datetime.now(UTC))
    values = node.values()
    with node.database.read() as transaction:
        studies, jobs = transaction.studies.counts(), transaction.jobs.counts()
    for state, count in studies.items():
        assert values[f"midline_studies{{state={state}}}"] == count
    for state, count in jobs.items():
        assert values[f"midline_jobs{{state={state}}}"] == count
    assert values["midline_deliveries{destination=archive,state=DEAD}"] == 6
    assert values["midline_oldest_waiting_seconds{}"] > 60
    assert values["midline_workers_alive{role=analyse}"] == 0
    assert values["midline_disk_reserve_bytes{}"] == 5
    assert values["midline_database_up{}"] == 1


def test_a_database_that_is_away_is_a_figure_too(tmp_path: Path) -> None:
    def away() -> Overview:
        raise DatabaseBusyError("away")

    # no index has been made there
    figures = Figures(Database(f"sqlite:///{tmp_path / 'midline.sqlite'}"), away)
    assert b"midline_database_up 0.0" in figures.write()
