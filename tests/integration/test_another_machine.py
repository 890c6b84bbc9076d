"""The operator's commands with nothing but the database: on another machine than the node's."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from node.cli import app
from node.engine import Queues, migrate
from storage.database import Database
from storage.records import JobState, StudyState
from tests.support.databases import database_url
from tests.support.received import NOW, queued_job

SETTINGS = """
[storage]
folder = "{folder}"
database_url = "{url}"
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Database, Path]]:
    """Give a database, and settings with a folder that is not there."""
    with database_url(tmp_path) as url:
        database = Database(url)
        database.upgrade()
        migrate(database)
        config = tmp_path / "midline.toml"
        config.write_text(SETTINGS.format(folder=tmp_path / "elsewhere", url=url))
        yield database, config
        database.close()


def run(config: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["--config", str(config), *words], prog_name="midline")


def test_everything_but_the_store_can_be_had(site: tuple[Database, Path], tmp_path: Path) -> None:
    database, config = site
    first = queued_job(database)
    second = queued_job(database, number=2, study="2.25.2")
    with closing(Queues(database.engine)) as queues, database.begin() as transaction:
        for job in (first, second):
            queues.analyse(transaction.session, job.id)
    status = json.loads(run(config, "status", "--json").stdout)
    assert status["disk"]["free_bytes"] is None
    assert status["oldest_waiting"]["job_id"] == first.id
    assert "unknown: the folder is not on this machine" in run(config, "status").stdout
    for words in (
        ("queue", "list"),
        ("queue", "show", str(first.id)),
        ("queue", "prioritise", str(second.id), "STAT"),
        ("queue", "cancel", str(first.id)),
        ("drain",),
        ("resume",),
        ("peers", "list"),
        ("audit", "verify"),
    ):
        result = run(config, *words)
        assert result.exit_code == 0, (words, result.output)
    with database.read() as transaction:
        cancelled = transaction.jobs.get(first.id)
    assert cancelled is not None
    assert cancelled.state is JobState.CANCELLED
    assert not (tmp_path / "elsewhere").exists()


def test_what_needs_the_store_says_so(site: tuple[Database, Path], tmp_path: Path) -> None:
    database, config = site
    job = queued_job(database)
    with database.begin() as transaction:
        transaction.jobs.cancel(job.id, now=NOW)
        study = transaction.studies.get(job.study_id)
    assert study is not None
    assert study.state is StudyState.COMPLETE
    for words in (
        ("queue", "retry", str(job.id)),
        ("reprocess", str(job.study_id)),
        ("retention", "run"),
        ("db", "check"),
    ):
        result = run(config, *words)
        assert result.exit_code == 2, (words, result.output)
        assert "is not on this machine: give this command where it is" in result.stderr
        assert result.stderr.count("\n") == 1
    assert not (tmp_path / "elsewhere").exists()
