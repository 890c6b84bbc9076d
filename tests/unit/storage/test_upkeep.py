"""The version of the tables, contradictions in the index, and a copy of it."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from config.errors import StorageError, UsageError
from storage.database import Database
from storage.upkeep import back_up, faults, known_files, versions
from tests.support.received import NOW, made, queued_job


def test_an_upgraded_database_has_the_newest_version(database: Database) -> None:
    assert versions(database).is_newest


def test_an_older_database_has_not(tmp_path: Path) -> None:
    empty = Database(f"sqlite:///{tmp_path / 'empty.sqlite'}")
    found = versions(empty)
    empty.close()
    assert found.current is None
    assert not found.is_newest


def finished_job(database: Database) -> None:
    job = queued_job(database)
    with database.begin() as transaction:
        transaction.jobs.start(job.id, "worker", now=NOW + timedelta(seconds=3))
        transaction.jobs.finish(
            job.id,
            outcome="NEGATIVE",
            reason=None,
            message=None,
            model="m",
            findings_json="{}",
            analysed_json=None,
            now=NOW + timedelta(seconds=9),
        )
        transaction.results.record(job.id, [made("SR", 1)], ["pacs"], now=NOW)


def test_a_used_index_is_sound_and_names_its_files(database: Database) -> None:
    finished_job(database)
    assert faults(database) == ()
    paths = [each.path for each in known_files(database)]
    assert len(paths) == len(set(paths)) >= 2


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        ("DELETE FROM result", "analyses succeeded without a result"),
        ("UPDATE study SET num_instances = 99", "studies count other images than they have"),
        ("UPDATE delivery SET state = 'SENT'", "results count as sent without a time"),
        ("UPDATE study SET generation = 7, state = 'COMPLETE'", "complete and have no analysis"),
    ],
)
def test_a_contradiction_is_told(database: Database, harm: str, told: str) -> None:
    finished_job(database)
    with database.engine.begin() as connection:
        if "DELETE" in harm:
            connection.execute(sa.text("DELETE FROM delivery"))
        connection.execute(sa.text(harm))
    assert any(told in fault for fault in faults(database))


def test_a_backup_is_the_same_database(database: Database, tmp_path: Path) -> None:
    if database.engine.dialect.name != "sqlite":
        pytest.skip("a dump of PostgreSQL is restored in the tests with peers")
    finished_job(database)
    target = tmp_path / "backup.sqlite"
    assert back_up(database, target) == target.stat().st_size
    assert target.stat().st_mode & 0o777 == 0o600
    restored = Database(f"sqlite:///{target}")
    assert versions(restored).is_newest
    assert faults(restored) == ()
    assert list(known_files(restored)) == list(known_files(database))
    restored.close()


def test_a_backup_is_never_written_over(database: Database, tmp_path: Path) -> None:
    target = tmp_path / "backup"
    target.write_text("the only copy")
    with pytest.raises(UsageError, match="name a new file"):
        back_up(database, target)
    assert target.read_text() == "the only copy"


def test_a_backup_that_cannot_be_written_leaves_nothing(database: Database, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        back_up(database, tmp_path / "nowhere" / "backup")


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    database = Database(f"sqlite:///{path}")
    database.upgrade()
    database.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "UPDATE sqlite_master SET rootpage = 2 WHERE name = 'ix_instance_series_id'"
        )
        connection.commit()
    assert any("damaged" in fault for fault in faults(database))
    database.close()
