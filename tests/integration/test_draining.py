"""Drained workers end what they hold and take nothing new, over restarts, until they may again."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from config.errors import UsageError
from config.settings import LivenessSettings
from node.audit.messages import Message, Participant
from node.engine import Json, Queues, migrate, run_analyser
from node.operating import actions
from node.operating.actions import WorkRole
from node.operating.desk import Desk
from storage.database import Database
from tests.support.databases import database_url
from tests.support.waiting import eventually

LONG_ENOUGH_SECONDS = 0.7
"""An idle worker would have taken what waits by then."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with database_url(tmp_path) as url:
        database = Database(url)
        database.upgrade()
        migrate(database)
        yield database
        database.close()


@pytest.fixture
def told() -> list[Message]:
    return []


@pytest.fixture
def desk(database: Database, tmp_path: Path, told: list[Message]) -> Iterator[Desk]:
    with closing(Queues(database.engine)) as queues:
        yield Desk(database, tmp_path, queues, told.append, Participant("anna"))


class Steps:
    """An analysis that lasts until it is let go."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.go_on = threading.Event()

    def segment(self, job_id: int) -> Json:
        self.begun.append(job_id)
        self.go_on.wait()
        return {}

    def encode(self, job_id: int, segmented: Json) -> Json:
        return {}

    def record(self, job_id: int, encoded: Json) -> None:
        self.ended.append(job_id)


@contextmanager
def analysing(database: Database, steps: Steps, name: str = "analyse-1") -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(
        target=run_analyser,
        args=(database, steps),
        kwargs={
            "executor_id": name,
            "attempts": 1,
            "max_recovery_attempts": 3,
            "device": "cpu",
            "liveness": LivenessSettings(beat_seconds=0.1, dead_after_seconds=5.0),
            "stop": stop,
        },
    )
    thread.start()
    try:
        yield
    finally:
        steps.go_on.set()
        stop.set()
        thread.join()


def enqueue(desk: Desk, *job_ids: int) -> None:
    with desk.database.begin() as transaction:
        for job_id in job_ids:
            desk.queues.analyse(transaction.session, job_id)


def test_what_runs_ends_and_what_waits_waits_over_a_restart(
    database: Database, desk: Desk, told: list[Message]
) -> None:
    steps = Steps()
    with analysing(database, steps):
        enqueue(desk, 1, 2)
        eventually(lambda: steps.begun == [1])
        said = actions.drain(desk, (WorkRole.ANALYSE,)).said
        assert said == "no new work for analyse until midline resume"
        steps.go_on.set()
        eventually(lambda: steps.ended == [1])
        time.sleep(LONG_ENOUGH_SECONDS)
        assert steps.begun == [1]
    with analysing(database, steps, "analyse-2"):
        enqueue(desk, 3)
        time.sleep(LONG_ENOUGH_SECONDS)
        assert steps.begun == [1]
        actions.resume(desk)
        eventually(lambda: steps.ended == [1, 2, 3])
    assert [(m.description, m.objects[0].identifier) for m in told] == [
        ("drain", "analyse"),
        ("resume", "analyse"),
    ]
    assert {m.participants[1].user_id for m in told} == {"anna"}


def test_a_node_that_never_ran_can_be_drained(database: Database, desk: Desk) -> None:
    actions.drain(desk)
    with database.read() as transaction:
        assert [drain.role for drain in transaction.drains.list()] == ["analyse", "deliver"]
    steps = Steps()
    steps.go_on.set()
    enqueue(desk, 1)
    with analysing(database, steps):
        time.sleep(LONG_ENOUGH_SECONDS)
        assert steps.begun == []
        actions.resume(desk, (WorkRole.ANALYSE,))
        eventually(lambda: steps.ended == [1])
    with database.read() as transaction:
        assert [drain.role for drain in transaction.drains.list()] == ["deliver"]


def test_what_is_drained_is_not_drained_twice(desk: Desk, told: list[Message]) -> None:
    actions.drain(desk, (WorkRole.DELIVER,))
    assert actions.drain(desk).said.startswith("no new work for analyse until")
    with pytest.raises(UsageError, match="analyse and deliver: drained already"):
        actions.drain(desk)
    actions.resume(desk)
    with pytest.raises(UsageError, match="analyse and deliver: not drained"):
        actions.resume(desk)
    assert len(told) == 4
