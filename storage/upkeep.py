"""Looking after the database: which version it has, whether it is sound, and a copy of it."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from config.errors import StorageError, UsageError
from storage.database import Database
from storage.migrations import VERSION_TABLE, configuration
from storage.records import DeliveryState, JobState, StudyState
from storage.tables import (
    CompletionRow,
    DeliveryRow,
    InstanceRow,
    JobRow,
    ResultRow,
    StudyRow,
    WorkerRow,
)

PAGE_ROWS = 1000
FILE_MODE = 0o600
DAMAGED = "the database file is damaged: restore a backup"


@dataclass(frozen=True)
class Versions:
    """Version of the tables as they are, and the newest one; None for an empty database."""

    current: str | None
    newest: str | None

    @property
    def is_newest(self) -> bool:
        """Whether nothing is to be upgraded."""
        return self.current == self.newest


@dataclass(frozen=True)
class KnownFile:
    """A file that the index says is in the store.

    Attributes
    ----------
    path
        Relative to the root of the store.
    sha256
        Of the data set of a received image; of the whole file of a result.
    num_bytes
        Size of a received file; None where it was not noted.
    """

    path: str
    sha256: str
    num_bytes: int | None


def versions(database: Database) -> Versions:
    """Read which version the tables have."""
    with database.engine.connect() as connection:
        options = {"version_table": VERSION_TABLE}
        context = MigrationContext.configure(connection, opts=options)
        current = context.get_current_revision()
        newest = ScriptDirectory.from_config(configuration(connection)).get_current_head()
    return Versions(current, newest)


def faults(database: Database, *, quick: bool = False) -> tuple[str, ...]:
    """Say what of the index contradicts itself; nothing if it is sound.

    Parameters
    ----------
    quick
        Whether to leave out what takes long on a large file: comparing its indexes with its rows.

    Raises
    ------
    StorageError
        If the database cannot be read.
    """
    is_file = database.engine.dialect.name == "sqlite"
    found = _damage(database, quick=quick) if is_file else []
    if found:
        return tuple(found)
    with database.read() as transaction:
        for what, query in _CONTRADICTIONS:
            count = transaction.session.scalar(query) or 0
            if count:
                found.append(f"{count} {what}")
    return tuple(found)


def latest_moment(database: Database) -> datetime | None:
    """Read the latest time that the index holds of what happened; None if nothing has."""
    columns = (StudyRow.last_received_at, JobRow.created_at, WorkerRow.beat_at)
    with database.read() as transaction:
        found = [transaction.session.scalar(sa.select(sa.func.max(each))) for each in columns]
    return max((moment for moment in found if moment is not None), default=None)


def known_files(database: Database) -> Iterator[KnownFile]:
    """List every file that the index says is there, page by page."""
    for received in (True, False):
        last = 0
        while True:
            with database.read() as transaction:
                rows = transaction.session.execute(_page(last, received=received)).all()
            if not rows:
                break
            yield from (KnownFile(path, sha256, size) for _, path, sha256, size in rows)
            last = rows[-1][0]


def _page(last: int, *, received: bool) -> sa.Select[int, str, str, int | None]:
    """Select the files after a row: of images that are not removed, or of results."""
    if received:
        return (
            sa.select(InstanceRow.id, InstanceRow.path, InstanceRow.sha256, InstanceRow.num_bytes)
            .join(StudyRow, StudyRow.id == InstanceRow.study_id)
            .where(InstanceRow.id > last, StudyRow.files_removed_at.is_(None))
            .order_by(InstanceRow.id)
            .limit(PAGE_ROWS)
        )
    nothing = sa.null().label("num_bytes")
    return (
        sa.select(ResultRow.id, ResultRow.path, ResultRow.sha256, nothing)
        .where(ResultRow.id > last)
        .order_by(ResultRow.id)
        .limit(PAGE_ROWS)
    )


def back_up(database: Database, target: Path) -> int:
    """Copy index and queue into one file while the node runs; give back its size in bytes.

    A copy of the store's folder that is made *after* it holds every file that it names.

    Parameters
    ----------
    target
        A new file: an SQLite database, or a dump in PostgreSQL's custom format for ``pg_restore``.

    Raises
    ------
    UsageError
        If the file exists, or ``pg_dump`` is needed and missing.
    StorageError
        If it cannot be written.
    """
    if target.exists():
        raise UsageError(f"{target} exists: name a new file, a backup is never written over")
    part = target.with_name(f"{target.name}.part")
    try:
        # made first, so that nobody else can read it
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE))
        if database.engine.dialect.name == "sqlite":
            _copy_sqlite(database, part)
        else:
            _dump_postgresql(database, part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(target)
    except (OSError, sqlite3.Error) as error:
        part.unlink(missing_ok=True)
        raise StorageError(f"{target} cannot be written ({type(error).__name__})") from error
    return target.stat().st_size


def _copy_sqlite(database: Database, target: Path) -> None:
    with database.engine.connect() as connection, closing(sqlite3.connect(target)) as copy:
        source = connection.connection.driver_connection
        if not isinstance(source, sqlite3.Connection):
            raise StorageError("the database's driver makes no copies")
        source.backup(copy)


def _dump_postgresql(database: Database, target: Path) -> None:
    program = shutil.which("pg_dump")
    if program is None:
        raise UsageError(
            "pg_dump is not installed here: it comes with PostgreSQL's client programs"
        )
    url = database.engine.url
    options = {"--host": url.host, "--port": url.port, "--username": url.username}
    named = [f"{key}={value}" for key, value in options.items() if value is not None]
    # the password in the environment: a command line can be read by everybody
    secret = {} if url.password is None else {"PGPASSWORD": str(url.password)}
    done = subprocess.run(
        [
            program,
            "--format=custom",
            "--no-password",
            f"--file={target}",
            *named,
            str(url.database),
        ],
        env=os.environ | secret,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        target.unlink(missing_ok=True)
        raise StorageError(f"pg_dump ended with code {done.returncode}: is the database reachable?")


def _damage(database: Database, *, quick: bool) -> list[str]:
    """Have SQLite look for damage, and for references to rows that are not there."""
    try:
        with database.engine.connect() as connection:
            look = "quick_check" if quick else "integrity_check"
            answers = connection.exec_driver_sql(f"PRAGMA {look}(1)").scalars().all()
            strays = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    except sa.exc.DatabaseError:
        return [DAMAGED]
    found = [] if answers == ["ok"] else [DAMAGED]
    return found + [f"{len(strays)} rows refer to rows that are not there"] * bool(strays)


def _count(
    row: type[sa.orm.DeclarativeBase], *conditions: sa.ColumnElement[bool]
) -> sa.Select[int]:
    return sa.select(sa.func.count()).select_from(row).where(*conditions)


def _job_of_study() -> sa.ColumnElement[bool]:
    return sa.exists().where(
        JobRow.study_id == StudyRow.id, JobRow.generation == StudyRow.generation
    )


def _result_of_job() -> sa.ColumnElement[bool]:
    return sa.exists().where(ResultRow.job_id == JobRow.id)


_held = (
    sa.select(sa.func.count())
    .where(InstanceRow.study_id == StudyRow.id)
    .correlate(StudyRow)
    .scalar_subquery()
)
_CONTRADICTIONS: tuple[tuple[str, sa.Select[int]], ...] = (
    (
        "studies are complete and have no analysis",
        _count(StudyRow, StudyRow.state == StudyState.COMPLETE, ~_job_of_study()),
    ),
    (
        "studies count other images than they have",
        _count(StudyRow, StudyRow.num_instances != _held),
    ),
    (
        "analyses succeeded without a result",
        _count(JobRow, JobRow.state == JobState.SUCCEEDED, ~_result_of_job()),
    ),
    (
        "completions have no analysis",
        _count(
            CompletionRow,
            ~sa.exists().where(
                JobRow.study_id == CompletionRow.study_id,
                JobRow.generation == CompletionRow.generation,
            ),
        ),
    ),
    (
        "results count as sent without a time",
        _count(DeliveryRow, DeliveryRow.state == DeliveryState.SENT, DeliveryRow.sent_at.is_(None)),
    ),
)
