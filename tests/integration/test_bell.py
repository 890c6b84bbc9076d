"""Waking a worker: by work that waits, and by nothing else."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from node.engine import Queues, bell
from node.engine.bell import Bell, Watch
from storage.database import Database
from tests.support.databases import database_url
from tests.support.waiting import eventually

VERSION = "1"


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


@pytest.fixture
def watch(database: Database) -> Iterator[Watch]:
    watch = Watch(database.engine, "analyse", VERSION)
    yield watch
    watch.close()


@pytest.fixture(autouse=True)
def _long_rhythm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing but work or the end be why a wait is over."""
    monkeypatch.setattr(bell, "LONGEST_SECONDS", 600.0)


@contextmanager
def waiting(rung: Bell) -> Iterator[list[bool]]:
    """Wait in a thread; what the waits gave back."""
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(rung.wait()))
    thread.start()
    yield answers
    rung.set()
    thread.join()


def enqueue(database: Database, queues: Queues, job_id: int) -> None:
    with database.begin() as transaction:
        queues.analyse(transaction.session, job_id)


def test_work_ends_the_wait(
    database: Database, queues: Queues, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    # on PostgreSQL somebody has to ring
    monkeypatch.setattr(bell, "UNRUNG_SECONDS", 60.0)
    rung = Bell(watch, lambda: False)
    with waiting(rung) as answers:
        enqueue(database, queues, 7)
        eventually(lambda: answers == [False])


def test_the_end_ends_the_wait(watch: Watch) -> None:
    rung = Bell(watch, lambda: False)
    with waiting(rung) as answers:
        rung.set()
        eventually(lambda: answers == [True])


def test_work_waits_for_a_slot(database: Database, queues: Queues, watch: Watch) -> None:
    looked: list[bool] = []

    def is_full() -> bool:
        looked.append(True)
        return len(looked) < 5

    enqueue(database, queues, 7)
    rung = Bell(watch, is_full)
    assert not rung.wait()
    assert len(looked) == 5


def test_work_of_another_queue_or_time_is_none(
    database: Database, queues: Queues, watch: Watch
) -> None:
    with database.begin() as transaction:
        queues.report_failure(transaction.session, 7, "EQUIPMENT", run=1)
    assert not watch.is_waiting()
    enqueue(database, queues, 7)
    assert watch.is_waiting()
    other = Watch(database.engine, "analyse", "another version")
    assert not other.is_waiting()
    other.close()


def test_a_lost_connection_is_opened_again(
    database: Database, queues: Queues, watch: Watch
) -> None:
    assert not watch.is_waiting()
    watch._driver.close()
    rung = Bell(watch, lambda: False)
    # the loop is let go round, and says by itself if the database is away
    assert not rung.wait()
    enqueue(database, queues, 7)
    assert not rung.wait()
    assert watch.is_waiting()
