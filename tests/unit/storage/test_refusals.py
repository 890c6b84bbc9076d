"""What destinations do not take is remembered by destination, and can be forgotten."""

from datetime import timedelta

from storage.database import Database
from tests.support.received import NOW, queued_job

SEG, SR = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.34"


def test_a_refusal_is_noted_once_and_for_its_destination(database: Database) -> None:
    later = NOW + timedelta(hours=1)
    with database.begin() as transaction:
        transaction.refusals.note("pacs", [SEG], answer="not accepted", now=NOW)
        transaction.refusals.note("pacs", [SEG, SR], answer="again", now=later)
    with database.read() as transaction:
        assert transaction.refusals.of("pacs") == {SEG, SR}
        assert transaction.refusals.of("archive") == frozenset()
        first, second = transaction.refusals.list()
    assert (first.uid, first.answer, first.refused_at) == (SEG, "not accepted", NOW)
    assert (second.destination, second.uid, second.answer) == ("pacs", SR, "again")


def test_what_is_refused_of_one_job_is_offered_with_the_next(database: Database) -> None:
    job = queued_job(database)
    with database.begin() as transaction:
        transaction.refusals.note("pacs", [SEG], answer="0xA900", now=NOW, job_id=job.id)
        assert transaction.refusals.of("pacs", job_id=job.id) == {SEG}
        assert transaction.refusals.of("pacs", job_id=job.id + 1) == frozenset()
        assert transaction.refusals.of("pacs") == frozenset()
        assert transaction.refusals.list() == ()


def test_what_is_forgotten_is_offered_again(database: Database) -> None:
    with database.begin() as transaction:
        for name in ("pacs", "archive"):
            transaction.refusals.note(name, [SEG], answer="", now=NOW)
        assert transaction.refusals.forget("pacs") == 1
        assert transaction.refusals.forget("pacs") == 0
        assert transaction.refusals.of("pacs") == frozenset()
        assert transaction.refusals.of("archive") == {SEG}
