"""Which of the queued analyses starts first, on the queue's own tables."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.engine import Queues, migrate
from storage.database import Database
from storage.records import Priority
from tests.integration.test_engine import Recorder, analysing
from tests.support.databases import database_url
from tests.support.waiting import eventually


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with database_url(tmp_path) as url:
        database = Database(url)
        database.upgrade()
        migrate(database)
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
