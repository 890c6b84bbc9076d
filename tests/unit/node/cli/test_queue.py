"""``midline queue`` on an index that was filled by hand."""

import json
from contextlib import closing
from pathlib import Path
from typing import get_args

import pytest

from node.cli.queue import OutcomeName
from node.engine import Queues
from node.results.outcomes import Outcome
from node.selection import describe_selection, select_series
from storage.database import Database
from storage.records import (
    CommitmentState,
    DeliveryState,
    JobRecord,
    JobState,
    Priority,
    StudyState,
)
from tests.support.ct_series import head_series, stack, write
from tests.support.received import NOW, queued_job, received
from tests.unit.node.cli.conftest import Run


def job_now(database: Database, job_id: int) -> JobRecord:
    with database.read() as transaction:
        job = transaction.jobs.get(job_id)
    assert job is not None
    return job


def workflows(database: Database) -> set[str]:
    """Names of what is enqueued; read through the queue's own client."""
    queues = Queues(database.engine)
    found = queues._client.list_workflows(load_input=False, load_output=False)
    queues.close()
    return {status.workflow_id for status in found}


def test_the_outcomes_are_those_of_the_reports() -> None:
    assert get_args(OutcomeName) == tuple(outcome.value for outcome in Outcome)


def test_jobs_are_listed_the_latest_first(run: Run, database: Database, job: JobRecord) -> None:
    later = queued_job(database, number=2, study="2.25.2")
    jobs = json.loads(run("queue", "list", "--json").stdout)
    assert [each["id"] for each in jobs] == [later.id, job.id]
    assert jobs[1]["findings"] == {"volume_ml": {"IPH": 3.2}}
    assert jobs[1]["seconds_to_report"] == 9
    assert jobs[0]["seconds_to_report"] is None
    assert "POSITIVE" in run("queue", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "number"),
    [
        (["--state", "queued"], 1),
        (["--state", "FAILED"], 0),
        (["--outcome", "positive"], 1),
        (["--outcome", "NEGATIVE"], 0),
        (["--limit", "1"], 1),
        (["--priority", "routine"], 2),
        (["--priority", "STAT"], 0),
        (["--sender", "CT1"], 2),
        (["--sender", "CT2"], 0),
        (["--study", "1"], 1),
        (["--since", "2029-12-31"], 2),
        (["--since", "2030-01-03T00:00"], 0),
        (["--before", "2"], 1),
    ],
)
def test_a_list_can_be_narrowed(
    run: Run, database: Database, job: JobRecord, arguments: list[str], number: int
) -> None:
    queued_job(database, number=2, study="2.25.2")
    result = run("queue", "list", "--json", *arguments)
    assert result.exit_code == 0
    assert len(json.loads(result.stdout)) == number


def test_a_job_is_shown_with_all_that_belongs_to_it(run: Run, job: JobRecord) -> None:
    shown = json.loads(run("queue", "show", str(job.id), "--json").stdout)
    assert shown["study"]["evidence"] == "quiet"
    assert shown["study"]["num_instances"] == 1
    assert [result["kind"] for result in shown["results"]] == ["SEG", "SR"]
    assert {delivery["state"] for delivery in shown["deliveries"]} == {"DEAD"}
    text = run("queue", "show", str(job.id)).stdout
    for words in ("POSITIVE", "model 1", "quiet", "IPH", "refused", "2.25.900.1.1"):
        assert words in text
    assert "patient-a" not in text


def test_the_series_of_a_job_are_shown_with_their_reasons(
    run: Run, database: Database, tmp_path: Path
) -> None:
    head = head_series(stack(size=16, pixel_mm=14.0))
    localizer = head_series(stack(size=16, pixel_mm=14.0), name="a/scout")[:1]
    selection = select_series(write([*head, *localizer], tmp_path / "study"))
    job = queued_job(database, number=2, study="2.25.2")
    with database.begin() as transaction:
        transaction.jobs.start(job.id, "worker", now=NOW)
        transaction.jobs.note_selection(job.id, json.dumps(describe_selection(selection)))
    shown = json.loads(run("queue", "show", str(job.id), "--json").stdout)["selection"]
    assert shown["chosen"]["num_images"] == len(head)
    assert [each["rejection"] for each in shown["rejected"]] == ["TOO_FEW_SLICES"]
    text = run("queue", "show", str(job.id)).stdout
    for words in ("CHOSEN", "score 100", "TOO_FEW_SLICES", "1 slice"):
        assert words in text
    assert "SYN" not in text


@pytest.mark.parametrize("command", ["show", "retry", "cancel"])
def test_a_job_that_is_not_there_is_a_mistake(run: Run, database: Database, command: str) -> None:
    result = run("queue", command, "7")
    assert result.exit_code == 2
    assert result.stderr == "midline: there is no job 7; midline queue list shows the latest\n"


def test_an_ended_job_runs_again(run: Run, database: Database, job: JobRecord) -> None:
    result = run("queue", "retry", str(job.id))
    assert result.stdout == f"job {job.id} is queued for run 2\n"
    again = job_now(database, job.id)
    assert (again.state, again.run) == (JobState.QUEUED, 2)
    assert workflows(database) == {f"analyse:{job.id}:2"}


def test_a_job_that_has_not_ended_is_not_run_again(run: Run, database: Database) -> None:
    job = queued_job(database)
    with database.begin() as transaction:
        transaction.jobs.start(job.id, "worker", now=NOW)
    result = run("queue", "retry", str(job.id))
    assert result.exit_code == 2
    assert "is RUNNING; only an ended one" in result.stderr
    assert job_now(database, job.id).state is JobState.RUNNING
    assert workflows(database) == set()


def test_commitments_are_shown_and_asked_for_again(
    run: Run, database: Database, job: JobRecord
) -> None:
    with database.begin() as transaction:
        lost, kept = transaction.results.deliveries(job_id=job.id)
        for each in (lost, kept):
            transaction.results.mark_sent(each.id, now=NOW)
        transaction.commitments.end([lost.id], CommitmentState.UNANSWERED, error="no answer")
        transaction.commitments.mark_committed([kept.id], now=NOW)
    shown = json.loads(run("queue", "show", str(job.id), "--json").stdout)["deliveries"]
    assert [each["commitment"] for each in shown] == ["UNANSWERED", "COMMITTED"]
    table = run("queue", "show", str(job.id)).stdout
    assert "UNANSWERED" in table
    assert "no answer" in table
    result = run("queue", "retry", str(job.id), "--deliveries")
    assert result.stdout == f"1 results of job {job.id} are to be committed to by pacs\n"
    assert len(workflows(database)) == 1
    result = run("queue", "retry", str(job.id), "--deliveries")
    assert "no delivery that was given up" in result.stderr


def test_dead_deliveries_are_sent_again(run: Run, database: Database, job: JobRecord) -> None:
    result = run("queue", "retry", str(job.id), "--deliveries")
    assert result.stdout == f"2 results of job {job.id} are sent again to pacs\n"
    with database.read() as transaction:
        deliveries = transaction.results.deliveries(job_id=job.id)
    assert {delivery.state for delivery in deliveries} == {DeliveryState.PENDING}
    opened_ms = int(deliveries[0].opened_at.timestamp() * 1000)
    assert workflows(database) == {f"deliver:{job.id}:pacs:{opened_ms}:1"}
    assert job_now(database, job.id).run == 1
    again = run("queue", "retry", str(job.id), "--deliveries")
    assert again.exit_code == 2
    assert "no delivery that was given up" in again.stderr


def test_a_cancelled_job_still_gets_a_report(run: Run, database: Database) -> None:
    job = queued_job(database)
    queues = Queues(database.engine)
    with database.begin() as transaction:
        queues.analyse(transaction.session, job.id)
    queues.close()
    result = run("queue", "cancel", str(job.id))
    assert result.exit_code == 0
    assert job_now(database, job.id).state is JobState.CANCELLED
    assert workflows(database) == {f"analyse:{job.id}:1", f"report-failure:{job.id}:1"}


def test_an_ended_job_cannot_be_cancelled(run: Run, database: Database, job: JobRecord) -> None:
    result = run("queue", "cancel", str(job.id))
    assert result.exit_code == 2
    assert "is SUCCEEDED; only a queued or running one" in result.stderr
    assert workflows(database) == set()


def test_a_study_is_taken_out_of_quarantine(run: Run, database: Database) -> None:
    job = queued_job(database)
    with database.begin() as transaction:
        transaction.studies.quarantine("2.25.1")
    assert run("queue", "readmit", str(job.study_id)).exit_code == 0
    with database.read() as transaction:
        study = transaction.studies.get(job.study_id)
    assert study is not None
    assert study.state is StudyState.COMPLETE
    again = run("queue", "readmit", str(job.study_id))
    assert again.exit_code == 2
    assert "no quarantined study" in again.stderr


def test_a_queued_job_is_put_before_others(run: Run, database: Database, job: JobRecord) -> None:
    waiting = queued_job(database, number=2, study="2.25.2")
    with closing(Queues(database.engine)) as queues, database.begin() as transaction:
        queues.analyse(transaction.session, waiting.id)
    result = run("queue", "prioritise", str(waiting.id), "stat")
    assert result.stdout == f"job {waiting.id} is STAT now\n", result.stderr
    assert job_now(database, waiting.id).priority is Priority.STAT
    listed = json.loads(run("queue", "list", "--priority", "STAT", "--json").stdout)
    assert [each["id"] for each in listed] == [waiting.id]
    again = run("queue", "prioritise", str(job.id), "LOW")
    assert again.exit_code == 2
    assert "is SUCCEEDED; only a queued one" in again.stderr
    assert job_now(database, job.id).priority is Priority.ROUTINE


def test_a_study_is_analysed_anew_with_the_present_model(
    run: Run, database: Database, job: JobRecord
) -> None:
    result = run("reprocess", str(job.study_id))
    assert result.stdout == f"job {job.id} is queued for run 2\n"
    assert workflows(database) == {f"analyse:{job.id}:2"}
    again = run("reprocess", str(job.study_id))
    assert again.exit_code == 2
    assert "is QUEUED; only an ended one" in again.stderr


def test_a_study_that_cannot_be_analysed_anew_is_told_why(run: Run, database: Database) -> None:
    missing = run("reprocess", "7")
    assert missing.exit_code == 2
    assert "there is no study 7" in missing.stderr
    with database.begin() as transaction:
        arriving = transaction.studies.register(received(), now=NOW).study_id
    assert "is still arriving" in run("reprocess", str(arriving)).stderr
    with database.begin() as transaction:
        transaction.studies.quarantine("2.25.1")
    assert f"midline queue readmit {arriving}" in run("reprocess", str(arriving)).stderr
    assert workflows(database) == set()


def test_status_says_what_is_drained(run: Run, database: Database) -> None:
    assert "TAKES NO NEW WORK" not in run("status").stdout
    assert run("drain", "--role", "deliver").exit_code == 0
    status = json.loads(run("status", "--json").stdout)
    assert [each["role"] for each in status["draining"]] == ["deliver"]
    assert "deliver TAKES NO NEW WORK since" in run("status").stdout
    assert run("resume").stdout == "deliver: work is taken again\n"
    assert json.loads(run("status", "--json").stdout)["draining"] == []


def test_the_study_that_waits_longest_is_shown(run: Run, database: Database) -> None:
    assert json.loads(run("status", "--json").stdout)["oldest_waiting"] is None
    oldest = queued_job(database)
    queued_job(database, number=2, study="2.25.2")
    waiting = json.loads(run("status", "--json").stdout)["oldest_waiting"]
    assert (waiting["job_id"], waiting["state"]) == (oldest.id, "QUEUED")
    assert f"study {oldest.study_id}, " in run("status").stdout


def test_a_list_is_watched_in_a_terminal_only(run: Run, database: Database) -> None:
    result = run("queue", "list", "--watch")
    assert result.exit_code == 2
    assert "--watch needs a terminal" in result.stderr
