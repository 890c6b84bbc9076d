"""Index and queue on PostgreSQL: the tests that SQLite passes, and a dump that can be restored."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.engine import migrate
from storage.database import Database
from storage.upkeep import back_up, faults, known_files, versions
from tests.support.databases import SERVER, database_url
from tests.support.peers_kit import peers
from tests.support.received import queued_job

pytestmark = [pytest.mark.peers, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
OF_INDEX_AND_QUEUE = (
    "tests/unit/storage",
    "tests/unit/node/audit/test_trail.py",
    "tests/unit/node/test_guard.py",
    "tests/unit/node/test_pseudonyms.py",
    "tests/unit/node/test_retention.py",
    "tests/integration/test_analysis.py",
    "tests/integration/test_audit.py",
    "tests/integration/test_bell.py",
    "tests/integration/test_commitment.py",
    "tests/integration/test_completeness.py",
    "tests/integration/test_delivery.py",
    "tests/integration/test_engine.py",
    "tests/integration/test_granting.py",
    "tests/integration/test_guarded_delivery.py",
    "tests/integration/test_ladder.py",
    "tests/integration/test_priorities.py",
    "tests/integration/test_receiving.py",
    "tests/integration/test_several_listeners.py",
    "tests/integration/test_syslog.py",
    "tests/acceptance/test_poison.py",
)
PARALLEL = "2"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    (started,) = peers("postgres", "start")
    yield started["url"]
    peers("postgres", "stop")


@pytest.fixture
def database(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setenv(SERVER, server)
    with database_url(tmp_path) as url:
        database = Database(url)
        database.upgrade()
        migrate(database)
        yield database
        database.close()


def test_what_holds_on_sqlite_holds_on_postgresql(server: str) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-n",
            PARALLEL,
            "--dist",
            "worksteal",
            *OF_INDEX_AND_QUEUE,
        ],
        env=os.environ | {SERVER: server},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    assert " passed" in done.stdout


def test_a_dump_is_restored_as_the_same_database(database: Database, tmp_path: Path) -> None:
    restore = shutil.which("pg_restore")
    if restore is None:
        pytest.skip("pg_restore of PostgreSQL is not installed")
    job = queued_job(database)
    dump = tmp_path / "midline.dump"
    assert back_up(database, dump) == dump.stat().st_size
    with database_url(tmp_path) as url:
        target = sa.make_url(url)
        subprocess.run(
            [
                restore,
                f"--dbname={target.set(drivername='postgresql').render_as_string(hide_password=False)}",
                "--no-owner",
                str(dump),
            ],
            check=True,
        )
        restored = Database(url)
        assert versions(restored).is_newest
        assert faults(restored) == ()
        assert list(known_files(restored)) == list(known_files(database))
        with restored.read() as transaction:
            assert transaction.jobs.get(job.id) == job
        restored.close()
