"""Results are recorded once, and each delivery goes its way by itself."""

from datetime import timedelta

import pytest

from config.errors import InstanceConflictError
from storage.database import Database
from storage.records import Backlog, DeliveryState
from tests.support.received import NOW, made, queued_job

LATER = NOW + timedelta(minutes=1)
OBJECTS = (made("SR", 2), made("SEG", 0), made("SC", 1))


@pytest.fixture
def recorded(database: Database) -> Database:
    """Give job 1 three results for two destinations."""
    queued_job(database)
    with database.begin() as transaction:
        transaction.results.record(1, OBJECTS, ["pacs", "archive"], now=NOW)
    return database


def test_results_wait_for_each_destination_in_the_order_of_sending(recorded: Database) -> None:
    with recorded.read() as transaction:
        results = transaction.results
        assert [each.kind for each in results.pending(1, "pacs")] == ["SEG", "SC", "SR"]
        assert [each.kind for each in results.pending(1, "archive")] == ["SEG", "SC", "SR"]
        assert results.pending(1, "elsewhere") == ()
        assert [each.kind for each in results.of_job(1)] == ["SEG", "SC", "SR"]
        delivery = results.pending(1, "pacs")[0]
    assert (delivery.job_id, delivery.path) == (1, OBJECTS[1].path)
    assert (delivery.created_at, delivery.opened_at, delivery.attempts) == (NOW, NOW, 0)


def test_recording_again_changes_nothing(recorded: Database) -> None:
    with recorded.begin() as transaction:
        sent = transaction.results.pending(1, "pacs")[0]
        transaction.results.mark_sent(sent.id, now=LATER)
        before = transaction.results.of_job(1)
        again = transaction.results.record(1, OBJECTS, ["pacs", "archive"], now=LATER)
    with recorded.read() as transaction:
        assert transaction.results.of_job(1) == before
        assert [each.kind for each in again] == ["SR", "SEG", "SC"]
        assert [each.kind for each in transaction.results.pending(1, "pacs")] == ["SC", "SR"]
        assert len(transaction.results.deliveries(job_id=1)) == 6


def test_a_destination_may_be_added_later(recorded: Database) -> None:
    with recorded.begin() as transaction:
        transaction.results.record(1, OBJECTS, ["pacs", "new"], now=LATER)
        assert len(transaction.results.pending(1, "new")) == 3
        assert len(transaction.results.pending(1, "pacs")) == 3


def test_a_uid_of_another_jobs_result_is_refused(recorded: Database) -> None:
    queued_job(recorded, number=2, study="2.25.2")
    with pytest.raises(InstanceConflictError), recorded.begin() as transaction:
        transaction.results.record(2, OBJECTS, ["pacs"], now=NOW)


def test_a_result_is_sent_once(recorded: Database) -> None:
    with recorded.begin() as transaction:
        results = transaction.results
        first = results.pending(1, "pacs")[0]
        assert results.mark_sent(first.id, now=LATER)
        assert not results.mark_sent(first.id, now=LATER + timedelta(hours=1))
        assert results.mark_attempt([first.id], error="x", now=LATER, next_attempt_at=None) == 0
        (sent,) = results.deliveries(destination="pacs", state=DeliveryState.SENT)
    assert (sent.id, sent.sent_at, sent.attempts) == (first.id, LATER, 1)


def test_a_failed_attempt_is_counted_with_its_cause(recorded: Database) -> None:
    again = LATER + timedelta(seconds=30)
    with recorded.begin() as transaction:
        ids = [each.id for each in transaction.results.pending(1, "pacs")[1:]]
        num_missed = transaction.results.mark_attempt(
            ids, error="no connection", now=LATER, next_attempt_at=again
        )
        first, *others = transaction.results.pending(1, "pacs")
    assert num_missed == 2
    assert first.attempts == 0
    for delivery in others:
        assert (delivery.attempts, delivery.last_error) == (1, "no connection")
        assert (delivery.last_attempt_at, delivery.next_attempt_at) == (LATER, again)


def test_a_dead_delivery_waits_for_somebody_to_reopen_it(recorded: Database) -> None:
    with recorded.begin() as transaction:
        results = transaction.results
        ids = [each.id for each in results.pending(1, "pacs")]
        assert results.mark_dead(ids, error="refused", now=LATER) == 3
        assert results.pending(1, "pacs") == ()
        assert results.reopen(now=LATER, destination="archive") == ()
        reopened = results.reopen(now=LATER, job_id=1, destination="pacs")
        assert reopened == results.pending(1, "pacs")
    assert [each.kind for each in reopened] == ["SEG", "SC", "SR"]
    assert {(each.attempts, each.created_at, each.opened_at) for each in reopened} == {
        (0, NOW, LATER)
    }


def test_the_backlog_sums_up_each_destination(recorded: Database) -> None:
    with recorded.begin() as transaction:
        results = transaction.results
        segmentation, picture, report = (each.id for each in results.pending(1, "pacs"))
        results.mark_sent(segmentation, now=LATER)
        results.mark_attempt([picture], error="first", now=NOW, next_attempt_at=LATER)
        results.mark_dead([report], error="second", now=LATER)
        backlog = results.backlog()
    assert backlog == (
        Backlog("archive", 3, 0, 0, oldest_pending_at=NOW, last_error=None),
        Backlog("pacs", 1, 1, 1, oldest_pending_at=NOW, last_error="second", num_uncommitted=1),
    )


def test_deliveries_are_listed_in_pages(recorded: Database) -> None:
    with recorded.read() as transaction:
        pages = [transaction.results.deliveries(limit=4, offset=offset) for offset in (0, 4)]
    assert [len(page) for page in pages] == [4, 2]
    assert len({each.id for page in pages for each in page}) == 6


def test_what_a_destination_gets_in_another_form_is_not_sent_as_it_was(recorded: Database) -> None:
    other = made("SR text", 3)
    with recorded.begin() as transaction:
        results = transaction.results
        segmentation, capture, report = results.pending(1, "pacs")
        results.mark_sent(capture.id, now=LATER)
        results.mark_dead([segmentation.id], error="refused", now=LATER)
        results.record(1, [other], ["pacs"], now=LATER)
        kept = [capture.sop_instance_uid, other.sop_instance_uid]
        assert results.replace(1, "pacs", by=kept, now=LATER) == 2
        assert results.replace(1, "pacs", by=kept, now=LATER) == 0
        states = {d.kind: d.state for d in results.deliveries(job_id=1, destination="pacs")}
        assert [each.kind for each in results.pending(1, "pacs")] == ["SR text"]
        assert len(results.pending(1, "archive")) == 3
    assert states == {
        "SEG": DeliveryState.REPLACED,
        "SC": DeliveryState.SENT,
        "SR": DeliveryState.REPLACED,
        "SR text": DeliveryState.PENDING,
    }
    assert report.state is DeliveryState.PENDING
    with recorded.begin() as transaction:
        assert transaction.results.reopen(now=LATER) == ()


def test_a_report_follows_those_that_its_destination_has(recorded: Database) -> None:
    with recorded.begin() as transaction:
        results = transaction.results
        study_id = transaction.jobs.list()[0].study_id

        def before(job_id: int, destination: str = "pacs", study: int = study_id) -> list[str]:
            found = results.reports_before(job_id, study_id=study, destination=destination)
            return [each.kind for each in found]

        assert before(2) == ["SR"]
        assert before(1) == []
        assert before(2, "new") == []
        assert before(2, study=study_id + 1) == []
        (report,) = [d for d in results.pending(1, "pacs") if d.kind == "SR"]
        results.mark_sent(report.id, now=LATER)
        assert before(1) == ["SR"]
        (other,) = [d for d in results.pending(1, "archive") if d.kind == "SR"]
        results.mark_dead([other.id], error="refused", now=LATER)
        assert before(2, "archive") == []
