"""A worker lives as long as it beats, by the database's clock."""

from datetime import UTC, datetime, timedelta

from storage.database import Database
from storage.records import NewWorker
from tests.support.received import NOW

TIMEOUT = timedelta(seconds=30)


def worker(executor_id: str) -> NewWorker:
    return NewWorker(executor_id, role="analyse", host="node-1", pid=42, device="cpu")


def test_a_worker_is_alive_until_its_last_beat_is_too_old(database: Database) -> None:
    with database.begin() as transaction:
        transaction.workers.beat(worker("a"), now=NOW)
        transaction.workers.beat(worker("b"), now=NOW)
        transaction.workers.beat(worker("b"), now=NOW + TIMEOUT)
    with database.read() as transaction:
        alive = transaction.workers.alive(now=NOW + TIMEOUT, timeout=TIMEOUT)
        dead = transaction.workers.dead(now=NOW + TIMEOUT, timeout=TIMEOUT)
    assert [each.executor_id for each in alive] == ["b"]
    assert [each.executor_id for each in dead] == ["a"]
    assert (alive[0].started_at, alive[0].beat_at) == (NOW, NOW + TIMEOUT)
    assert (alive[0].role, alive[0].pid, alive[0].device) == ("analyse", 42, "cpu")


def test_a_removed_worker_is_forgotten(database: Database) -> None:
    with database.begin() as transaction:
        transaction.workers.beat(worker("a"), now=NOW)
        assert transaction.workers.remove("a")
        assert not transaction.workers.remove("a")
        assert transaction.workers.dead(now=NOW + 2 * TIMEOUT, timeout=TIMEOUT) == ()


def test_the_databases_clock_tells_the_time_in_utc(database: Database) -> None:
    with database.read() as transaction:
        told = transaction.now()
    assert told.utcoffset() == timedelta(0)
    assert abs(told - datetime.now(UTC)) < timedelta(minutes=1)
