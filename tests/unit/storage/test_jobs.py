"""The moves of a job: each is made once, and only from where it may be made."""

from dataclasses import replace
from datetime import timedelta

import pytest

from config.errors import StorageError
from storage.database import Database
from storage.records import JobRecord, JobState
from tests.support.received import NOW, complete_study, queued_job, received

LATER = NOW + timedelta(minutes=1)


def job_of(database: Database, job_id: int = 1) -> JobRecord:
    with database.read() as transaction:
        job = transaction.jobs.get(job_id)
    assert job is not None
    return job


def test_a_new_job_is_queued_and_knows_its_generation(database: Database) -> None:
    job = queued_job(database)
    assert job.state is JobState.QUEUED
    assert (job.study_instance_uid, job.generation, job.run, job.attempts) == ("2.25.1", 1, 1, 0)
    assert (job.num_instances, job.last_received_at, job.created_at) == (1, NOW, NOW)
    assert job_of(database) == job


def test_a_generation_has_one_job(database: Database) -> None:
    queued_job(database)
    with pytest.raises(StorageError), database.begin() as transaction:
        transaction.jobs.create(1, 1, now=NOW)


def test_a_generation_that_never_was_complete_has_no_job(database: Database) -> None:
    queued_job(database)
    with pytest.raises(StorageError), database.begin() as transaction:
        transaction.jobs.create(1, 2, now=NOW)


def test_a_job_is_started_again_when_its_worker_died(database: Database) -> None:
    queued_job(database)
    with database.begin() as transaction:
        transaction.jobs.start(1, "first", now=NOW)
    with database.begin() as transaction:
        transaction.jobs.start(1, "second", now=LATER)
    job = job_of(database)
    assert job.state is JobState.RUNNING
    assert (job.executor_id, job.attempts, job.started_at) == ("second", 2, LATER)


def test_a_finished_job_keeps_what_its_report_says_and_is_not_started_again(
    database: Database,
) -> None:
    queued_job(database)
    with database.begin() as transaction:
        transaction.jobs.start(1, "first", now=NOW)
        finished = transaction.jobs.finish(
            1, outcome="POSITIVE", model="m 1", findings_json='{"total_ml": 3.5}', now=LATER
        )
    assert finished == job_of(database)
    assert finished is not None
    assert finished.state is JobState.SUCCEEDED
    assert (finished.outcome, finished.model, finished.finished_at) == ("POSITIVE", "m 1", LATER)
    with database.begin() as transaction:
        assert transaction.jobs.start(1, "late", now=LATER) is None
        assert transaction.jobs.finish(1, outcome="NEGATIVE", now=LATER) is None
        assert transaction.jobs.fail(1, message="too late", now=LATER) is None
        assert transaction.jobs.cancel(1, now=LATER) is None
    assert job_of(database) == finished


def test_a_cancelled_job_cannot_be_finished(database: Database) -> None:
    queued_job(database)
    with database.begin() as transaction:
        transaction.jobs.start(1, "first", now=NOW)
        transaction.jobs.cancel(1, now=LATER)
        assert transaction.jobs.finish(1, outcome="POSITIVE", now=LATER) is None
    assert job_of(database).state is JobState.CANCELLED


def test_an_abandoned_job_is_put_back_within_its_run(database: Database) -> None:
    queued_job(database)
    with database.begin() as transaction:
        assert transaction.jobs.requeue(1) is None
        transaction.jobs.start(1, "first", now=NOW)
        transaction.jobs.requeue(1)
    job = job_of(database)
    assert (job.state, job.run, job.attempts, job.executor_id) == (JobState.QUEUED, 1, 1, None)


def test_an_ended_job_is_put_back_for_its_next_run(database: Database) -> None:
    queued = queued_job(database)
    with database.begin() as transaction:
        transaction.jobs.start(1, "first", now=NOW)
        transaction.jobs.fail(1, message="the weights cannot be read", now=LATER)
        assert transaction.jobs.requeue(1) == replace(queued, run=2, attempts=1)


def test_jobs_are_listed_and_counted_by_state_and_outcome(database: Database) -> None:
    for number in (1, 2, 3):
        queued_job(database, number=number, study=f"2.25.{number}")
    with database.begin() as transaction:
        transaction.jobs.start(2, "first", now=NOW)
        transaction.jobs.finish(2, outcome="NEGATIVE", now=LATER)
    with database.read() as transaction:
        jobs = transaction.jobs
        assert [job.id for job in jobs.list()] == [3, 2, 1]
        assert [job.id for job in jobs.list(state=JobState.QUEUED, limit=1)] == [3]
        assert [job.id for job in jobs.list(state=JobState.QUEUED, offset=1)] == [1]
        assert [job.id for job in jobs.list(outcome="NEGATIVE")] == [2]
        assert [job.id for job in jobs.list(study_id=3)] == [3]
        assert jobs.counts() == dict.fromkeys(JobState, 0) | {
            JobState.QUEUED: 2,
            JobState.SUCCEEDED: 1,
        }
        assert jobs.outcomes() == {"NEGATIVE": 1}
        assert jobs.get(4) is None


def test_the_next_generation_has_a_job_of_its_own(database: Database) -> None:
    queued_job(database)
    with database.begin() as transaction:
        transaction.studies.register(received(2), now=LATER)
        complete = complete_study(transaction, 1)
        second = transaction.jobs.create(1, complete.generation, now=LATER)
    assert (second.id, second.generation, second.num_instances) == (2, 2, 2)
    assert job_of(database, 1).num_instances == 1
    assert job_of(database, 1).last_received_at == NOW
