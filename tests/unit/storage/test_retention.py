"""A study is finished when nothing is left to be done with it, and not before."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from storage.database import Database, Transaction
from storage.records import CommitmentState, FinishedStudy, JobState
from tests.support.received import NOW, complete_study, made, queued_job, received

SENT_AT = NOW + timedelta(minutes=1)
LATER = NOW + timedelta(days=3)
OBJECTS = (made("SEG", 0), made("SR", 1))
Change = Callable[[Transaction], object]


@pytest.fixture
def finished(database: Database) -> Database:
    """Analyse study 1, and have its two results delivered and committed to."""
    queued_job(database)
    with database.begin() as transaction:
        transaction.jobs.start(1, "worker", now=NOW)
        transaction.jobs.finish(1, outcome="NEGATIVE", now=NOW)
        transaction.results.record(1, OBJECTS, ["pacs"], now=NOW)
        ids = [each.id for each in transaction.results.pending(1, "pacs")]
        for number in ids:
            transaction.results.mark_sent(number, now=SENT_AT)
        transaction.commitments.end(ids, CommitmentState.NOT_OFFERED)
    return database


def listed(database: Database) -> list[int]:
    with database.read() as transaction:
        return [study.id for study in transaction.retention.finished(now=LATER)]


def test_a_study_is_finished_with_its_last_delivery(finished: Database) -> None:
    with finished.read() as transaction:
        assert transaction.retention.finished(now=LATER) == (FinishedStudy(1, SENT_AT, 1, 526_336),)
        assert transaction.retention.finished(now=LATER, settled_before=NOW) == ()
        assert transaction.retention.finished(now=LATER, study_id=2) == ()


def test_without_destinations_a_study_is_finished_with_its_report(database: Database) -> None:
    queued_job(database)
    assert listed(database) == []
    with database.begin() as transaction:
        transaction.jobs.start(1, "worker", now=NOW)
        transaction.jobs.finish(1, outcome="NEGATIVE", now=SENT_AT)
        transaction.results.record(1, OBJECTS, [], now=NOW)
    with database.read() as transaction:
        (study,) = transaction.retention.finished(now=LATER)
    assert study.settled_at == SENT_AT


def _commitment(state: str) -> Change:
    statement = f"UPDATE delivery SET commitment = '{state}' WHERE id = 2"  # noqa: S608
    return _sql(statement)


def _sql(statement: str) -> Change:
    return lambda transaction: transaction.session.connection().exec_driver_sql(statement)


def _new_image(transaction: Transaction) -> None:
    transaction.studies.register(received(2), now=LATER)


def _new_generation(transaction: Transaction) -> None:
    _new_image(transaction)
    complete = complete_study(transaction, 1)
    transaction.jobs.create(1, complete.generation, now=NOW)


def _lose_results(transaction: Transaction) -> None:
    _sql("DELETE FROM delivery")(transaction)
    _sql("DELETE FROM result")(transaction)


def _cancel_and_lose(transaction: Transaction) -> None:
    _sql("UPDATE job SET state = 'CANCELLED'")(transaction)
    _lose_results(transaction)


OBSTACLES: dict[str, Change] = {
    "an image arrives": _new_image,
    "a new generation waits": _new_generation,
    "the job runs again": lambda transaction: transaction.jobs.requeue(1),
    "the study is quarantined": lambda transaction: transaction.studies.quarantine("2.25.1"),
    "a delivery waits": _sql("UPDATE delivery SET state = 'PENDING' WHERE id = 2"),
    "a delivery was given up": _sql("UPDATE delivery SET state = 'DEAD' WHERE id = 2"),
    "commitment is open": _commitment("REQUESTED"),
    "commitment was refused": _commitment("FAILED"),
    "commitment was not answered": _commitment("UNANSWERED"),
    "no report could be written": _sql("UPDATE job SET state = 'FAILED'"),
    "there is no result": _lose_results,
    "a cancelled job has no report yet": _cancel_and_lose,
}


@pytest.mark.parametrize("change", OBSTACLES.values(), ids=OBSTACLES)
def test_a_study_with_something_left_to_do_is_not_finished(
    finished: Database, change: Change
) -> None:
    with finished.begin() as transaction:
        change(transaction)
    assert listed(finished) == []
    with finished.begin() as transaction:
        assert not transaction.retention.mark_removed(1, now=LATER)


@pytest.mark.parametrize("state", ["COMMITTED", "NOT_OFFERED", "NOT_ASKED"])
def test_a_destination_that_is_done_with_holds_nothing_up(finished: Database, state: str) -> None:
    with finished.begin() as transaction:
        _commitment(state)(transaction)
    assert listed(finished) == [1]


def test_what_was_just_sent_may_still_be_asked_about(finished: Database) -> None:
    with finished.begin() as transaction:
        _commitment("NOT_ASKED")(transaction)
        assert transaction.retention.finished(now=SENT_AT + timedelta(minutes=59)) == ()
        assert transaction.retention.finished(now=SENT_AT + timedelta(minutes=61)) != ()


def test_what_was_replaced_and_what_was_cancelled_with_a_report_is_finished(
    finished: Database,
) -> None:
    with finished.begin() as transaction:
        _sql("UPDATE delivery SET state = 'REPLACED' WHERE id = 1")(transaction)
        _sql(f"UPDATE job SET state = '{JobState.CANCELLED}'")(transaction)  # noqa: S608
    assert listed(finished) == [1]


def test_a_marked_study_is_not_finished_again_until_an_image_comes(finished: Database) -> None:
    path = received().path
    with finished.begin() as transaction:
        assert transaction.retention.needed([path, "received/xx/other.dcm"]) == {path}
        assert transaction.retention.mark_removed(1, now=LATER)
        assert not transaction.retention.mark_removed(1, now=LATER)
        assert transaction.retention.needed([path]) == frozenset()
        assert transaction.retention.paths_of(1) == (path,)
        assert transaction.retention.job_ids_of(1) == (1,)
    assert listed(finished) == []
    with finished.begin() as transaction:
        assert not transaction.studies.register(received(), now=LATER).is_new
        assert transaction.retention.needed([path]) == frozenset()
        transaction.studies.register(received(2), now=LATER)
        study = transaction.studies.get(1)
        assert study is not None
        assert study.files_removed_at is None
        assert transaction.retention.needed([path]) == {path}


def test_images_that_were_sent_anew_are_needed_again(finished: Database) -> None:
    with finished.begin() as transaction:
        transaction.retention.mark_removed(1, now=LATER)
        transaction.retention.take_back(1)
        assert transaction.retention.needed([received().path])


def test_the_studies_that_were_settled_first_come_first(finished: Database) -> None:
    queued_job(finished, number=2, study="2.25.2")
    with finished.begin() as transaction:
        transaction.jobs.start(2, "worker", now=NOW)
        transaction.jobs.finish(2, outcome="NEGATIVE", now=NOW)
        transaction.results.record(2, [made("SR", 0, job_id=2)], [], now=NOW)
    assert listed(finished) == [2, 1]
