"""Requests for commitment and what they say of deliveries, on either kind of database."""

from datetime import timedelta

import pytest

from storage.commitments import MOST_IN_A_QUERY
from storage.database import Database
from storage.records import (
    CommitmentRecord,
    CommitmentState,
    ConflictKind,
    DeliveryRecord,
    DeliveryState,
    Reference,
)
from tests.support.received import NOW, made, queued_job, received

LATER = NOW + timedelta(minutes=1)
CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture
def sent(database: Database) -> Database:
    """Give job 1 two results that a destination got."""
    queued_job(database)
    with database.begin() as transaction:
        transaction.results.record(1, [made("SEG", 0), made("SR", 1)], ["pacs"], now=NOW)
        for each in transaction.results.pending(1, "pacs"):
            transaction.results.mark_sent(each.id, now=NOW)
    return database


def ask(database: Database, uid: str = "2.25.1", *, accepted: bool = True) -> CommitmentRecord:
    """Ask for everything that job 1 has sent."""
    with database.begin() as transaction:
        deliveries = transaction.results.deliveries(job_id=1)
        request = transaction.commitments.enter(uid, deliveries, attempt=1, now=LATER)
        if accepted:
            transaction.commitments.accept(request.id, now=LATER)
    return request


def deliveries(database: Database) -> tuple[DeliveryRecord, ...]:
    with database.read() as transaction:
        return transaction.results.deliveries(job_id=1)


def test_a_request_is_found_by_its_transaction(sent: Database) -> None:
    request = ask(sent, accepted=False)
    with sent.begin() as transaction:
        assert transaction.commitments.find("2.25.1") == request
        assert transaction.commitments.get(request.id) == request
        assert transaction.commitments.find("2.25.2") is None
        assert transaction.commitments.items(request.id) == transaction.results.deliveries(job_id=1)
        assert len(transaction.results.uncommitted(1, "pacs")) == 2


def test_what_was_accepted_is_waited_for(sent: Database) -> None:
    ask(sent)
    assert {each.commitment for each in deliveries(sent)} == {CommitmentState.REQUESTED}
    with sent.read() as transaction:
        assert transaction.results.uncommitted(1, "pacs") == ()


def test_an_answer_that_overtakes_the_acceptance_stands(sent: Database) -> None:
    request = ask(sent, accepted=False)
    with sent.begin() as transaction:
        assert transaction.commitments.answer(request.id, now=LATER)
        assert not transaction.commitments.answer(request.id, now=LATER)
        ids = [each.id for each in transaction.commitments.items(request.id)]
        transaction.commitments.mark_committed(ids, now=LATER)
        assert not transaction.commitments.accept(request.id, now=LATER)
    assert {each.commitment for each in deliveries(sent)} == {CommitmentState.COMMITTED}
    assert {each.committed_at for each in deliveries(sent)} == {LATER}


def test_a_later_request_decides(sent: Database) -> None:
    first, second = ask(sent), ask(sent, "2.25.2")
    with sent.begin() as transaction:
        assert transaction.commitments.undecided(first.id) == ()
        assert len(transaction.commitments.undecided(second.id)) == 2


def test_requests_without_an_answer_are_counted_since_the_opening(sent: Database) -> None:
    first = ask(sent)
    ask(sent, "2.25.2")
    ask(sent, "2.25.3", accepted=False)
    ids = [each.id for each in deliveries(sent)]
    with sent.begin() as transaction:
        assert transaction.commitments.num_unanswered(ids) == 2
        transaction.commitments.answer(first.id, now=LATER)
        assert transaction.commitments.num_unanswered(ids) == 1
        transaction.commitments.end(ids, CommitmentState.UNANSWERED, error="no answer")
        reopened = transaction.commitments.reopen(1, now=LATER + timedelta(minutes=1))
        assert [each.id for each in reopened] == ids
        assert transaction.commitments.num_unanswered(ids) == 0


def test_what_is_sent_again_or_buried_is_no_longer_asked_for(sent: Database) -> None:
    request = ask(sent)
    first, second = deliveries(sent)
    with sent.begin() as transaction:
        transaction.commitments.send_again([first.id], error="lost", next_attempt_at=LATER)
        transaction.commitments.bury([second.id], error="other class")
        assert transaction.commitments.undecided(request.id) == ()
    first, second = deliveries(sent)
    assert (first.state, first.commitment) == (DeliveryState.PENDING, CommitmentState.NOT_ASKED)
    assert (second.state, second.commitment) == (DeliveryState.DEAD, CommitmentState.FAILED)
    with sent.begin() as transaction:
        (again,) = transaction.results.reopen(now=LATER, job_id=1)
    assert (again.id, again.commitment) == (second.id, CommitmentState.NOT_ASKED)


def test_the_backlog_counts_what_is_not_committed_to(sent: Database) -> None:
    ask(sent)
    first, second = deliveries(sent)
    with sent.begin() as transaction:
        transaction.commitments.end([first.id], CommitmentState.FAILED, error="given up")
        (backlog,) = transaction.results.backlog()
        assert (backlog.num_sent, backlog.num_uncommitted, backlog.num_commitment_failed) == (
            2,
            1,
            1,
        )
        assert backlog.last_commitment_error == "given up"
        transaction.commitments.mark_committed([first.id, second.id], now=LATER)
        (backlog,) = transaction.results.backlog()
    assert (backlog.num_uncommitted, backlog.last_commitment_error) == (0, None)


def test_a_request_of_a_sender_is_entered_once(database: Database) -> None:
    asked = (Reference(CT, "2.25.1"), Reference(CT, "2.25.2"))
    with database.begin() as transaction:
        requests = transaction.commitment_requests
        first = requests.enter("2.25.9", asked, calling_ae_title="CT1", now=NOW)
        assert first is not None
        assert (first.references, first.is_duplicate) == (asked, False)
        assert requests.enter("2.25.9", asked, calling_ae_title="CT1", now=LATER) is None
        other = requests.enter("2.25.9", asked[:1], calling_ae_title="CT1", now=LATER)
        assert other is not None
        assert other.is_duplicate
        stranger = requests.enter("2.25.9", asked, calling_ae_title="CT2", now=LATER)
        assert stranger is not None
        assert not stranger.is_duplicate
        requests.mark_attempt(first.id, next_attempt_at=None, reported_at=LATER)
        again = requests.enter("2.25.9", asked, calling_ae_title="CT1", now=LATER)
    assert again is not None
    assert (again.id, again.attempts, again.reported_at) == (first.id, 1, None)


def test_what_is_held_is_found_among_many(database: Database) -> None:
    with database.begin() as transaction:
        study_id = transaction.studies.register(received(1), now=NOW).study_id
        transaction.studies.register(received(2), now=NOW)
        transaction.studies.record_conflict(
            received(2, content="other"), kind=ConflictKind.INSTANCE, path="q", now=NOW
        )
        names = [f"2.25.100.{number}" for number in range(2 * MOST_IN_A_QUERY)]
        first, second = transaction.commitment_requests.held(names)
    assert (first.study_id, first.sop_instance_uid) == (study_id, "2.25.100.1")
    assert not first.is_disputed
    assert second.is_disputed


def test_how_many_images_are_expected_is_noted(database: Database) -> None:
    with database.begin() as transaction:
        study_id = transaction.studies.register(received(), now=NOW).study_id
        transaction.studies.expect(study_id, 40, by="request")
    with database.read() as transaction:
        study = transaction.studies.get(study_id)
    assert study is not None
    assert (study.expected_instances, study.expected_by) == (40, "request")
