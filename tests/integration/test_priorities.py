"""Which of the queued analyses starts first, on the queue's own tables."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from config.settings import CompletionSettings, Settings
from node.completion import priorities_of, sweep
from node.engine import Queues
from storage.database import Database
from storage.records import Priority
from tests.integration.test_engine import Recorder, analysing
from tests.support.databases import database_url
from tests.support.received import NOW, received
from tests.support.waiting import eventually


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with database_url(tmp_path, has_tables=True) as url:
        database = Database(url)
        yield database
        database.close()


@pytest.fixture
def queues(database: Database) -> Iterator[Queues]:
    queues = Queues(database.engine)
    yield queues
    queues.close()


def order(database: Database, number: int) -> list[object]:
    """Work on what waits; the jobs in the order in which they were started."""
    steps = Recorder()
    with analysing(database, steps):
        eventually(lambda: len(steps.calls) == 3 * number)
    return [call[1] for call in steps.calls if call[0] == "segment"]


def test_the_urgent_start_first_and_the_same_in_their_order(
    database: Database, queues: Queues
) -> None:
    wanted = {
        1: Priority.LOW,
        2: Priority.ROUTINE,
        3: Priority.HIGH,
        4: Priority.ROUTINE,
        5: Priority.STAT,
    }
    with database.begin() as transaction:
        for job_id, priority in wanted.items():
            queues.analyse(transaction.session, job_id, priority=priority)
    assert order(database, 5) == [5, 3, 2, 4, 1]


def test_what_waits_can_be_let_first_or_last(database: Database, queues: Queues) -> None:
    with database.begin() as transaction:
        for job_id in (1, 2, 3):
            queues.analyse(transaction.session, job_id)
    with database.begin() as transaction:
        assert queues.prioritise(transaction.session, 3, Priority.STAT, run=1)
        assert queues.prioritise(transaction.session, 1, Priority.LOW, run=1)
    assert order(database, 3) == [3, 2, 1]


def test_what_does_not_wait_has_no_place(database: Database, queues: Queues) -> None:
    with database.begin() as transaction:
        queues.analyse(transaction.session, 1)
        assert not queues.prioritise(transaction.session, 1, Priority.STAT, run=2)
        assert not queues.prioritise(transaction.session, 2, Priority.STAT, run=1)
    assert order(database, 1) == [1]
    with database.begin() as transaction:
        assert not queues.prioritise(transaction.session, 1, Priority.STAT, run=1)


def test_the_studies_of_a_sender_may_be_urgent(database: Database, queues: Queues) -> None:
    senders = [{"ae_title": "CT1", "priority": "STAT"}, {"ae_title": "CT2"}]
    priorities = priorities_of(Settings.model_validate({"senders": senders}))
    with database.begin() as transaction:
        for number, sender in enumerate(("CT3", "CT2", "CT1"), start=1):
            image = replace(
                received(number, study=f"2.25.{number}", series=f"2.25.{number}.1"),
                calling_ae_title=sender,
            )
            transaction.studies.register(image, now=NOW)
    later = NOW + timedelta(hours=1)
    assert sweep(database, queues, CompletionSettings(), now=later, priorities=priorities) == 3
    with database.read() as transaction:
        jobs = {job.calling_ae_title: job for job in transaction.jobs.list()}
    assert {name: job.priority for name, job in jobs.items()} == {
        "CT1": Priority.STAT,
        "CT2": Priority.ROUTINE,
        "CT3": Priority.ROUTINE,
    }
    assert order(database, 3)[0] == jobs["CT1"].id


def test_taking_the_next_is_one_seek_however_many_wait(database: Database, queues: Queues) -> None:
    taken: list[tuple[str, Any]] = []

    def note(_c: object, _u: object, statement: str, parameters: Any, *_: object) -> None:
        if "ORDER BY" in statement and ".priority" in statement and "LIMIT" in statement:
            taken.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    with database.begin() as transaction:
        queues.analyse(transaction.session, 1)
    assert order(database, 1) == [1]
    event.remove(database.engine, "before_cursor_execute", note)
    statement, parameters = taken[0]
    with database.engine.connect() as connection:
        is_sqlite = connection.dialect.name == "sqlite"
        if not is_sqlite:
            # of a few rows it would read all
            connection.exec_driver_sql("SET enable_seqscan = off")
        explain = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
        plan = connection.exec_driver_sql(f"{explain} {statement}", parameters).all()
    said = "\n".join(str(row[-1]) for row in plan)
    assert "idx_workflow_status_in_flight_v2" in said
    assert "SCAN" not in said.upper().replace("INDEX SCAN", "")
    assert "TEMP B-TREE" not in said
    assert "Sort" not in said
