"""The queue with a real database: order, repetition, rollback, and work of the dead."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from config.settings import LivenessSettings
from node.engine import Json, Queues, migrate, run_analyser, run_deliverer, worker
from storage.database import Database
from tests.support.databases import database_url
from tests.support.waiting import eventually

LIVENESS = LivenessSettings(beat_seconds=0.1, dead_after_seconds=1.0)


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


class Recorder:
    """Steps that note in which order they were called, and with what."""

    def __init__(self, *, failures: int = 0) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.failures = failures

    def segment(self, job_id: int) -> Json:
        self.calls.append(("segment", job_id))
        if len(self.calls) <= self.failures:
            return {"failure": "RESOURCE", "retry": True}
        return {"mask": f"mask of {job_id}"}

    def encode(self, job_id: int, segmented: Json) -> Json:
        self.calls.append(("encode", job_id, dict(segmented)))
        return {"outcome": "POSITIVE"}

    def record(self, job_id: int, encoded: Json) -> None:
        self.calls.append(("record", job_id, dict(encoded)))

    def send(self, job_id: int, destination: str, attempt: int, opened_ms: int) -> None:
        self.calls.append(("send", job_id, destination, attempt, opened_ms))

    def look_for_answer(self, commitment_id: int) -> None:
        self.calls.append(("look_for_answer", commitment_id))

    def report_commitment(self, request_id: int, attempt: int) -> None:
        self.calls.append(("report_commitment", request_id, attempt))

    def encode_failure(self, job_id: int, reason: str) -> Json:
        self.calls.append(("encode_failure", job_id, reason))
        return {"outcome": "FAILED"}


@contextmanager
def analysing(database: Database, steps: Recorder) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(
        target=run_analyser,
        args=(database, steps),
        kwargs={
            "executor_id": "analyse-test",
            "attempts": 3,
            "max_recovery_attempts": 3,
            "device": "cpu",
            "liveness": LIVENESS,
            "stop": stop,
        },
    )
    thread.start()
    yield
    stop.set()
    thread.join()


@contextmanager
def delivering(database: Database, steps: Recorder) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(
        target=run_deliverer,
        args=(database, steps),
        kwargs={
            "executor_id": "deliver-test",
            "slots": 2,
            "liveness": LIVENESS,
            "stop": stop,
        },
    )
    thread.start()
    yield
    stop.set()
    thread.join()


def test_an_analysis_goes_through_its_steps_in_order(database: Database, queues: Queues) -> None:
    steps = Recorder()
    with database.begin() as transaction:
        queues.analyse(transaction.session, 7)
    with analysing(database, steps):
        eventually(lambda: len(steps.calls) == 3)
    assert steps.calls == [
        ("segment", 7),
        ("encode", 7, {"mask": "mask of 7"}),
        ("record", 7, {"outcome": "POSITIVE"}),
    ]


def test_work_enqueued_twice_is_done_once(database: Database, queues: Queues) -> None:
    steps = Recorder()
    for _ in range(2):
        with database.begin() as transaction:
            queues.analyse(transaction.session, 7)
    with database.begin() as transaction:
        queues.analyse(transaction.session, 8)
    with analysing(database, steps):
        eventually(lambda: ("record", 8, {"outcome": "POSITIVE"}) in steps.calls)
    assert [call for call in steps.calls if call[0] == "segment"] == [
        ("segment", 7),
        ("segment", 8),
    ]


def test_another_run_of_a_job_is_other_work(database: Database, queues: Queues) -> None:
    steps = Recorder()
    with database.begin() as transaction:
        queues.analyse(transaction.session, 7, run=1)
        queues.analyse(transaction.session, 7, run=2)
    with analysing(database, steps):
        eventually(lambda: len(steps.calls) == 6)
    assert [call[:2] for call in steps.calls].count(("segment", 7)) == 2


def test_a_rolled_back_transaction_enqueues_nothing(database: Database, queues: Queues) -> None:
    def enqueue_and_fail() -> None:
        with database.begin() as transaction:
            queues.analyse(transaction.session, 7)
            raise RuntimeError("after the enqueue")

    with pytest.raises(RuntimeError, match="after the enqueue"):
        enqueue_and_fail()
    steps = Recorder()
    with database.begin() as transaction:
        queues.analyse(transaction.session, 8)
    with analysing(database, steps):
        eventually(lambda: len(steps.calls) == 3)
    assert {call[1] for call in steps.calls} == {8}


def test_a_step_that_asks_for_it_is_tried_again(
    database: Database, queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "PAUSE_SECONDS", 0.01)
    steps = Recorder(failures=2)
    with database.begin() as transaction:
        queues.analyse(transaction.session, 7)
    with analysing(database, steps):
        eventually(lambda: len(steps.calls) == 5)
    assert [call[0] for call in steps.calls] == ["segment"] * 3 + ["encode", "record"]


def test_a_step_that_keeps_failing_goes_on_to_its_report(
    database: Database, queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "PAUSE_SECONDS", 0.01)
    steps = Recorder(failures=99)
    with database.begin() as transaction:
        queues.analyse(transaction.session, 7)
    with analysing(database, steps):
        eventually(lambda: len(steps.calls) == 5)
    assert steps.calls[3] == ("encode", 7, {"failure": "RESOURCE", "retry": True})


def test_deliveries_commitments_and_failure_reports_share_a_queue(
    database: Database, queues: Queues
) -> None:
    steps = Recorder()
    opened = datetime(2026, 3, 1, tzinfo=UTC)
    with database.begin() as transaction:
        queues.deliver(transaction.session, 7, "pacs", opened_at=opened)
        queues.deliver(
            transaction.session, 7, "pacs", opened_at=opened, attempt=2, delay_seconds=0.2
        )
        queues.report_failure(transaction.session, 9, "EQUIPMENT", run=1)
        queues.look_for_answer(transaction.session, 3, 7, "pacs", delay_seconds=0.2)
        queues.report_commitment(transaction.session, 4, attempt=2, delay_seconds=0)
    with delivering(database, steps):
        eventually(lambda: len(steps.calls) == 6)
    opened_ms = int(opened.timestamp() * 1000)
    assert ("send", 7, "pacs", 1, opened_ms) in steps.calls
    assert ("send", 7, "pacs", 2, opened_ms) in steps.calls
    assert ("look_for_answer", 3) in steps.calls
    assert ("report_commitment", 4, 2) in steps.calls
    assert ("encode_failure", 9, "EQUIPMENT") in steps.calls
    assert ("record", 9, {"outcome": "FAILED"}) in steps.calls


def test_nothing_in_the_queue_is_pickled(database: Database, queues: Queues) -> None:
    steps = Recorder()
    with database.begin() as transaction:
        queues.analyse(transaction.session, 7)
    with analysing(database, steps):
        eventually(lambda: len(steps.calls) == 3)
    with database.engine.connect() as connection:
        # on PostgreSQL the queue's tables have a schema of their own
        schema = "" if connection.dialect.name == "sqlite" else "dbos."
        inputs, outputs = (
            connection.exec_driver_sql(f"SELECT {column} FROM {schema}{table}").scalars().all()  # noqa: S608
            for column, table in (("inputs", "workflow_input"), ("output", "operation_outputs"))
        )
    for text in (*inputs, *outputs):
        assert text is None or text[0] in "{[n", text
