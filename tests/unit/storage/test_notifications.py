"""Messages about reports: entered once, moved as their states allow, reopened when dead."""

from datetime import timedelta

import pytest

from storage.database import Database
from storage.records import JobRecord, NotificationState
from tests.support.received import NOW, queued_job

LATER = NOW + timedelta(minutes=1)


@pytest.fixture
def job(database: Database) -> JobRecord:
    return queued_job(database)


def enter(database: Database, job: JobRecord, *receivers: str, run: int = 1) -> list[int]:
    with database.begin() as transaction:
        entered = transaction.notifications.enter(
            job.id, run=run, outcome="POSITIVE", receivers=receivers, now=NOW
        )
    return [each.id for each in entered]


def test_a_receiver_is_told_once_of_each_run(database: Database, job: JobRecord) -> None:
    assert len(enter(database, job, "ris", "chat")) == 2
    assert enter(database, job, "ris", "chat") == []
    assert len(enter(database, job, "ris", run=2)) == 1
    with database.read() as transaction:
        found = transaction.notifications.list(job_id=job.id)
    assert len({each.message_id for each in found}) == 3
    assert all(len(each.message_id) == 20 for each in found)


def test_what_was_taken_stays_taken(database: Database, job: JobRecord) -> None:
    (number,) = enter(database, job, "ris")
    with database.begin() as transaction:
        notifications = transaction.notifications
        assert notifications.mark_attempt(number, error="away", now=NOW, next_attempt_at=LATER)
        waiting = notifications.get(number)
        assert notifications.mark_sent(number, now=LATER)
        assert not notifications.mark_sent(number, now=LATER)
        assert not notifications.mark_dead(number, error="no", now=LATER)
        sent = notifications.get(number)
    assert waiting is not None
    assert (waiting.attempts, waiting.last_error) == (1, "away")
    assert waiting.next_attempt_at == LATER
    assert sent is not None
    assert (sent.state, sent.attempts, sent.sent_at) == (NotificationState.SENT, 2, LATER)
    assert sent.next_attempt_at is None


def test_the_dead_are_counted_and_can_be_reopened(database: Database, job: JobRecord) -> None:
    first, second = enter(database, job, "ris", "chat")
    with database.begin() as transaction:
        for number in (first, second):
            transaction.notifications.mark_dead(number, error="gone", now=NOW)
        counts = transaction.notifications.counts()
        assert counts["ris"][NotificationState.DEAD] == 1
        assert counts["chat"][NotificationState.PENDING] == 0
        dead = transaction.notifications.list(state=NotificationState.DEAD)
        assert {each.id for each in dead} == {first, second}
        (reopened,) = transaction.notifications.reopen(now=LATER, receiver="ris")
        assert (reopened.id, reopened.state) == (first, NotificationState.PENDING)
        assert (reopened.attempts, reopened.opened_at) == (0, LATER)
        assert [each.id for each in transaction.notifications.reopen(now=LATER)] == [second]
        assert transaction.notifications.reopen(now=LATER) == ()
