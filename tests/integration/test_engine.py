"""The queue with a real database: order, repetition, rollback, and work of the dead."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.errors import DatabaseBusyError, TakenOverError
from config.settings import LivenessSettings
from node.engine import Json, Queues, fence, patience, run_analyser, run_deliverer, worker
from node.engine.liveness import Liveness
from storage.database import Database
from tests.support.databases import database_url
from tests.support.waiting import eventually

LIVENESS = LivenessSettings(beat_seconds=0.1, dead_after_seconds=1.0)


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

    def notify(self, notification_id: int, attempt: int) -> None:
        self.calls.append(("notify", notification_id, attempt))

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


def in_schema(database: Database, table: str) -> str:
    """Name a table of the queue: on PostgreSQL they have a schema of their own."""
    return table if database.engine.dialect.name == "sqlite" else f"dbos.{table}"


def take(database: Database, executor_id: str) -> None:
    """Give all work to a worker, as the queue does when it takes it."""
    with database.begin() as transaction:
        transaction.session.connection().exec_driver_sql(
            f"UPDATE {in_schema(database, 'workflow_status')} SET status = 'PENDING', "  # noqa: S608
            f"owner_xid = 'another', executor_id = '{executor_id}'"
        )


def test_work_that_was_taken_and_never_begun_is_put_back(
    database: Database, queues: Queues
) -> None:
    steps = Recorder()
    with analysing(database, steps):
        with database.begin() as transaction:
            queues.analyse(transaction.session, 7)
        eventually(lambda: len(steps.calls) == 3)
        with database.begin() as transaction:
            queues.analyse(transaction.session, 8)
            transaction.session.connection().exec_driver_sql(
                f"UPDATE {in_schema(database, 'workflow_status')} SET status = 'PENDING', "  # noqa: S608
                "executor_id = 'analyse-test' WHERE workflow_uuid = 'analyse:8:1'"
            )
        eventually(lambda: len(steps.calls) == 6)
    assert steps.calls[3] == ("segment", 8)


class Interrupted(Recorder):
    """Steps that find the database away at first."""

    def __init__(self, *, num_away: int) -> None:
        super().__init__()
        self._left = dict.fromkeys(("segment", "encode", "record", "send"), num_away)

    def _meet(self, step: str) -> None:
        if self._left[step]:
            self._left[step] -= 1
            raise DatabaseBusyError("away")

    def segment(self, job_id: int) -> Json:
        self._meet("segment")
        return super().segment(job_id)

    def encode(self, job_id: int, segmented: Json) -> Json:
        self._meet("encode")
        return super().encode(job_id, segmented)

    def record(self, job_id: int, encoded: Json) -> None:
        self._meet("record")
        super().record(job_id, encoded)

    def send(self, job_id: int, destination: str, attempt: int, opened_ms: int) -> None:
        self._meet("send")
        super().send(job_id, destination, attempt, opened_ms)


def test_steps_wait_for_a_database_that_is_away(
    database: Database, queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "AWAY_SECONDS", 0.01)
    steps = Interrupted(num_away=5)
    with database.begin() as transaction:
        queues.analyse(transaction.session, 7)
        queues.deliver(transaction.session, 7, "pacs", opened_at=datetime(2026, 3, 1, tzinfo=UTC))
    with analysing(database, steps):
        eventually(lambda: len(steps.calls) == 3)
    assert [call[0] for call in steps.calls] == ["segment", "encode", "record"]
    with delivering(database, steps):
        eventually(lambda: len(steps.calls) == 4)


class Late(Recorder):
    """A worker that loses its work while it does it, and then tries to write."""

    def __init__(self, database: Database, *, step: str) -> None:
        super().__init__()
        self._database, self._step = database, step
        self.written: list[str] = []
        self.refused: list[str] = []

    def _write(self, step: str) -> None:
        if step == self._step and not self.refused:
            take(self._database, "analyse-other")
        try:
            with self._database.fenced(fence).begin() as transaction:
                transaction.workers.remove("nobody")
        except TakenOverError:
            self.refused.append(step)
            raise
        self.written.append(step)

    def segment(self, job_id: int) -> Json:
        self._write("segment")
        return super().segment(job_id)

    def record(self, job_id: int, encoded: Json) -> None:
        self._write("record")
        super().record(job_id, encoded)


@pytest.mark.parametrize("step", ["segment", "record"])
def test_who_was_taken_over_writes_nothing_and_works_on(
    database: Database, queues: Queues, step: str
) -> None:
    steps = Late(database, step=step)
    with database.begin() as transaction:
        queues.analyse(transaction.session, 7)
    with analysing(database, steps):
        # the other one is dead, too: so the work comes back to this one
        eventually(lambda: ("record", 7, {"outcome": "POSITIVE"}) in steps.calls)
    assert steps.refused == [step]
    assert steps.written.count("record") == 1


def test_whoever_does_no_work_of_the_queue_may_write(database: Database) -> None:
    with database.fenced(fence).begin() as transaction:
        assert not transaction.workers.remove("nobody")


def test_who_gives_no_sign_of_life_is_told_before_others_take_over(
    database: Database, queues: Queues
) -> None:
    settings = LivenessSettings(beat_seconds=1.5, dead_after_seconds=5.0)
    away, lost = threading.Event(), threading.Event()

    def refuse(_: object) -> None:
        if away.is_set():
            raise DatabaseBusyError("away")

    liveness = Liveness(
        database.fenced(refuse),
        queues,
        "analyse-cut-off",
        role="analyse",
        device="cpu",
        settings=settings,
        on_lost_lease=lost.set,
    )
    assert liveness.start(threading.Event())
    away.set()
    assert lost.wait(30)
    with database.begin() as transaction:
        alive = transaction.workers.alive(now=transaction.now(), timeout=timedelta(seconds=5.0))
    assert [worker.executor_id for worker in alive] == ["analyse-cut-off"]
    liveness.stop()
