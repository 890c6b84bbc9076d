"""A node that has run before: its settings, its index, and the command line on it."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from node.cli import app
from node.engine import migrate
from storage.database import Database
from storage.files import FileStore
from storage.records import JobRecord
from tests.support.received import NOW, made, queued_job, received

Run = Callable[..., Result]

SETTINGS = """
[storage]
folder = "{folder}"
reserve_bytes = 0
[[destinations]]
name = "pacs"
ae_title = "PACS"
host = "127.0.0.1"
port = 104
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(SETTINGS.format(folder=tmp_path / "data"))
    return path


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'data' / 'midline.sqlite'}")
    database.upgrade()
    migrate(database)
    yield database
    database.close()


@pytest.fixture
def run(config: Path) -> Run:
    """Run ``midline --config settings.toml …``."""

    def run(*arguments: str, typed: str | None = None) -> Result:
        words = ["--config", str(config), *arguments]
        return CliRunner().invoke(app, words, input=typed, prog_name="midline")

    return run


@pytest.fixture
def job(database: Database, tmp_path: Path) -> JobRecord:
    """Make a job that succeeded, and whose results could not be delivered."""
    FileStore(tmp_path / "data" / "files", reserve_bytes=0).write_received(
        [b"image"], sha256=received().sha256
    )
    job = queued_job(database)
    with database.begin() as transaction:
        transaction.jobs.start(job.id, "worker", now=NOW + timedelta(seconds=3))
        transaction.jobs.finish(
            job.id,
            outcome="POSITIVE",
            model="model 1",
            findings_json='{"volume_ml": {"IPH": 3.2}}',
            now=NOW + timedelta(seconds=9),
        )
        transaction.results.record(job.id, [made("SEG", 0), made("SR", 1)], ["pacs"], now=NOW)
        deliveries = transaction.results.deliveries(job_id=job.id)
        transaction.results.mark_dead([d.id for d in deliveries], error="refused", now=NOW)
        ended = transaction.jobs.get(job.id)
    assert ended is not None
    return ended
