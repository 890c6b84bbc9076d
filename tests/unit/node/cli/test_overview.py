"""``midline status`` on an index that was filled by hand."""

import json
import re
from datetime import timedelta

import pytest

from storage.database import Database
from storage.records import CommitmentState, ConflictKind, JobRecord, NewWorker
from tests.support.received import NOW, queued_job, received
from tests.unit.node.cli.conftest import Run

WORKER = NewWorker("executor", "analyse", "host", 17, "cuda:0")


def test_an_index_without_anything_is_shown(run: Run, database: Database) -> None:
    result = run("status")
    assert result.exit_code == 0
    assert "Workers: none" in result.stdout
    assert re.search(r"Jobs +none", result.stdout)
    assert "pacs" in result.stdout


def test_a_folder_without_an_index_is_a_mistake(run: Run) -> None:
    result = run("status")
    assert result.exit_code == 2
    assert "holds no index" in result.stderr
    assert result.stderr.count("\n") == 1


def test_states_and_outcomes_are_counted(run: Run, database: Database, job: JobRecord) -> None:
    queued_job(database, number=2, study="2.25.2")
    status = json.loads(run("status", "--json").stdout)
    assert status["studies"] == {"RECEIVING": 0, "COMPLETE": 2, "QUARANTINED": 0}
    assert status["jobs"]["QUEUED"] == 1
    assert status["jobs"]["SUCCEEDED"] == 1
    assert status["outcomes"] == {"POSITIVE": 1}
    assert status["disk"]["free_bytes"] > 0


def test_a_silent_worker_is_told_from_a_living_one(run: Run, database: Database) -> None:
    with database.begin() as transaction:
        now = transaction.now()
        transaction.workers.beat(WORKER, now=now)
        silent = NewWorker("other", "deliver", "host", 18, "cpu")
        transaction.workers.beat(silent, now=now - timedelta(minutes=5))
    workers = json.loads(run("status", "--json").stdout)["workers"]
    assert [(w["role"], w["device"], w["alive"]) for w in workers] == [
        ("analyse", "cuda:0", True),
        ("deliver", "cpu", False),
    ]
    table = run("status").stdout
    assert "5 min ago │ SILENT" in table


def test_dead_and_unknown_destinations_are_shown(
    run: Run, database: Database, job: JobRecord
) -> None:
    with database.begin() as transaction:
        results = transaction.results.of_job(job.id)
        transaction.results.record(job.id, results, ["retired"], now=NOW)  # type: ignore[arg-type]
    destinations = json.loads(run("status", "--json").stdout)["destinations"]
    by_name = {each["destination"]: each for each in destinations}
    assert by_name["pacs"]["num_dead"] == 2
    assert by_name["pacs"]["last_error"] == "refused"
    assert by_name["pacs"]["in_settings"]
    assert by_name["retired"]["num_pending"] == 2
    assert not by_name["retired"]["in_settings"]
    assert "retired (not in the settings)" in run("status").stdout


def test_what_destinations_have_not_committed_to_is_counted(
    run: Run, database: Database, job: JobRecord
) -> None:
    assert "not committed to" not in run("status").stdout
    with database.begin() as transaction:
        lost, sent = transaction.results.deliveries(job_id=job.id)
        for each in (lost, sent):
            transaction.results.mark_sent(each.id, now=NOW)
        transaction.commitments.end([lost.id], CommitmentState.FAILED, error="no such instance")
    (pacs,) = json.loads(run("status", "--json").stdout)["destinations"]
    assert (pacs["num_uncommitted"], pacs["num_commitment_failed"]) == (1, 1)
    assert pacs["num_unanswered"] == 0
    assert pacs["last_commitment_error"] == "no such instance"
    table = run("status").stdout
    assert "Sent, and not committed to" in table
    assert "no such instance" in table


def test_quarantine_and_conflicts_are_shown_without_the_patient(
    run: Run, database: Database
) -> None:
    queued_job(database)
    with database.begin() as transaction:
        transaction.studies.quarantine("2.25.1")
        transaction.studies.record_conflict(
            received(9), kind=ConflictKind.PATIENT, path="quarantine/9.dcm", now=NOW
        )
    output = run("status", "--json").stdout
    status = json.loads(output)
    assert [study["id"] for study in status["quarantined"]] == [1]
    assert [conflict["kind"] for conflict in status["conflicts"]] == ["PATIENT"]
    assert "patient-a" not in output
    assert "Quarantined studies" in run("status").stdout


def test_a_disk_that_is_too_full_is_shouted(
    run: Run, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "NO IMAGE IS ACCEPTED" not in run("status").stdout
    monkeypatch.setenv("MIDLINE_STORAGE__RESERVE_BYTES", str(1 << 60))
    assert "NO IMAGE IS ACCEPTED" in run("status").stdout
