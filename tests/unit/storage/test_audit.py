"""The trail is one chain, whoever writes to it, and shows what was done to it."""

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa

from storage.database import Database
from storage.records import AuditHead
from storage.records.audit import NO_MESSAGE
from tests.support.received import NOW


def append(database: Database, text: str, *, minutes: int = 0, event: str = "110100") -> None:
    with database.begin() as transaction:
        now = NOW + timedelta(minutes=minutes)
        transaction.audit.append(text, event=event, outcome=0, now=now)


@pytest.fixture
def written(database: Database) -> Database:
    for number in range(5):
        append(database, f'{{"n":{number}}}', minutes=number, event=f"11010{number % 2}")
    return database


def test_each_message_holds_the_digest_of_the_one_before(written: Database) -> None:
    with written.read() as transaction:
        messages = tuple(transaction.audit.read())
        assert [m.message_json for m in messages] == [f'{{"n":{n}}}' for n in range(5)]
        before = [NO_MESSAGE, *(m.sha256 for m in messages)]
        assert [m.previous_sha256 for m in messages] == before[:-1]
        assert transaction.audit.fault() is None
        assert transaction.audit.head() == AuditHead(5, messages[-1].sha256)


def test_an_empty_trail_is_whole(database: Database) -> None:
    with database.read() as transaction:
        assert transaction.audit.fault() is None
        assert transaction.audit.head() == AuditHead(0, NO_MESSAGE)
        assert transaction.audit.contains(NO_MESSAGE)


@pytest.mark.parametrize(
    ("statement", "found_at"),
    [
        ("UPDATE audit SET message_json = '{}' WHERE id = 3", 3),
        ("UPDATE audit SET outcome = 8 WHERE id = 2", 2),
        ("UPDATE audit SET event = '110113' WHERE id = 4", 4),
        ("UPDATE audit SET recorded_at = '2029-01-01 00:00:00.000000' WHERE id = 1", 1),
        ("DELETE FROM audit WHERE id = 3", 4),
        ("DELETE FROM audit WHERE id = 1", 2),
        ("UPDATE audit SET id = 9 WHERE id = 2", 3),
    ],
)
def test_the_first_message_that_was_tampered_with_is_found(
    written: Database, statement: str, found_at: int
) -> None:
    with written.engine.begin() as connection:
        connection.execute(sa.text(statement))
    with written.read() as transaction:
        fault = transaction.audit.fault()
    assert fault is not None
    assert fault.message_id == found_at


def test_a_cut_end_is_found_by_a_head_that_was_written_down(written: Database) -> None:
    with written.read() as transaction:
        head = transaction.audit.head()
        assert transaction.audit.contains(head.sha256)
    with written.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM audit WHERE id > 3"))
    with written.read() as transaction:
        assert transaction.audit.fault() is None
        assert not transaction.audit.contains(head.sha256)


def test_several_writers_make_one_chain(database: Database) -> None:
    def write(name: int) -> None:
        for number in range(10):
            append(database, f"{name}-{number}")

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as transaction:
        assert transaction.audit.head().num_messages == 40
        assert transaction.audit.fault() is None


def test_messages_are_found_by_time_and_kind(written: Database) -> None:
    with written.read() as transaction:
        found = transaction.audit.read(
            since=NOW + timedelta(minutes=1), until=NOW + timedelta(minutes=4), event="110101"
        )
        assert [m.message_json for m in found] == ['{"n":1}', '{"n":3}']
        assert [m.message_json for m in transaction.audit.latest(2)] == ['{"n":3}', '{"n":4}']
        assert [m.id for m in transaction.audit.latest(9, event="110101")] == [2, 4]


def test_what_a_repository_has_is_not_waiting(written: Database) -> None:
    with written.begin() as transaction:
        waiting = transaction.audit.waiting(limit=3)
        assert [m.id for m in waiting] == [1, 2, 3]
        transaction.audit.mark_forwarded([m.id for m in waiting], now=NOW)
    with written.read() as transaction:
        assert [m.id for m in transaction.audit.waiting(limit=9)] == [4, 5]
        assert transaction.audit.fault() is None
