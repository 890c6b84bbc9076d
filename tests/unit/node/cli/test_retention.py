"""``midline retention`` on an index that was filled by hand."""

import json
import os
from pathlib import Path

import pytest

from storage.database import Database
from storage.files import FileStore
from storage.records import JobRecord
from tests.support.received import NOW, made, received
from tests.unit.node.cli.conftest import Run


@pytest.fixture
def finished(database: Database, job: JobRecord, config: Path, tmp_path: Path) -> FileStore:
    """Let the job's deliveries be done with, and its images be due."""
    config.write_text(f"{config.read_text()}\n[retention]\nkeep_days = 0.001\n")
    with database.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE delivery SET state = 'SENT', commitment = 'NOT_OFFERED', "
            "sent_at = '2020-01-01 00:00:00.000000'"
        )
        connection.exec_driver_sql("UPDATE job SET finished_at = '2020-01-01 00:00:00.000000'")
    files = FileStore(tmp_path / "data" / "files", reserve_bytes=0)
    os.utime(files.path(received().path), (0, 0))
    return files


def test_finished_studies_are_shown_with_their_time(run: Run, finished: FileStore) -> None:
    (study,) = json.loads(run("retention", "show", "--json").stdout)
    assert (study["id"], study["num_images"]) == (1, 1)
    assert study["goes_at"].startswith("2020-01-01T00:01:26")
    assert "2020-01-01 00:00:00 UTC" in run("retention", "show").stdout


def test_what_would_go_is_said_and_stays(run: Run, finished: FileStore) -> None:
    assert [s["id"] for s in json.loads(run("retention", "run", "--dry-run", "--json").stdout)] == [
        1
    ]
    assert "Would go now" in run("retention", "run", "--dry-run").stdout
    assert finished.path(received().path).is_file()


def test_what_is_due_goes_and_is_told(run: Run, database: Database, finished: FileStore) -> None:
    gone = json.loads(run("retention", "run", "--json").stdout)
    assert (gone["study_ids"], gone["num_bytes"]) == ([1], 5)
    assert not finished.path(received().path).exists()
    with database.read() as transaction:
        (message,) = transaction.audit.read(event="110105")
    assert '"description":"retention run"' in message.message_json
    assert "images of 0 studies are removed" in run("retention", "run").stdout


def test_a_job_whose_images_are_gone_is_not_run_again(
    run: Run, database: Database, finished: FileStore
) -> None:
    run("retention", "run")
    result = run("queue", "retry", "1")
    assert result.exit_code == 2
    assert "1 of 1 images of job 1 are not in the store any more: send the study" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_job_whose_images_were_sent_again_is_run_again_and_they_stay(
    run: Run, database: Database, finished: FileStore
) -> None:
    run("retention", "run")
    finished.write_received([b"image"], sha256=received().sha256)
    with database.begin() as transaction:
        transaction.studies.register(received(), now=NOW)
    assert run("queue", "retry", "1").exit_code == 0
    with database.read() as transaction:
        study = transaction.studies.get(1)
        assert study is not None
        assert study.files_removed_at is None
        assert transaction.retention.needed([received().path])


def test_nothing_goes_by_itself_without_days(run: Run, database: Database, job: JobRecord) -> None:
    with database.begin() as transaction:
        transaction.results.record(job.id, [made("SC", 2)], [], now=NOW)
    assert json.loads(run("retention", "run", "--json").stdout)["study_ids"] == []
    assert "Finished studies: none" in run("retention", "show").stdout
