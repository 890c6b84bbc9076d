"""The database: one engine, one transaction over everything that survives a restart.

SQLite (WAL, write lock taken at BEGIN, on a local disk) or PostgreSQL. The queue uses the same
engine, so that a study's completion and its job can be written together.
"""

import copy
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from config.errors import DatabaseBusyError, SettingsError, StorageError, StorageFullError
from storage import postgresql
from storage.accounts import Accounts
from storage.arrivals import Arrivals
from storage.associations import Associations
from storage.audit import AuditTrail
from storage.commitments import CommitmentRequests, Commitments
from storage.drains import Drains
from storage.index import StudyIndex
from storage.jobs import Jobs
from storage.listing import Listing
from storage.notifications import Notifications
from storage.patients import Patients
from storage.refusals import Refusals
from storage.results import Results
from storage.retention import Retention
from storage.tables import UtcDateTime
from storage.workers import Workers

BUSY_TIMEOUT_MS = 30_000
"""How long SQLite waits for another process's write lock."""
POOL_SIZE = 20
UPGRADE_LOCK = 0x4D49444C
"""Number of the PostgreSQL advisory lock under which one process upgrades at a time."""
FULL_SQLSTATES = ("53100", "53200")
BUSY_SQLSTATES = (
    *("25P03", "40001", "40P01", "53300", "55P03"),
    *("57P01", "57P02", "57P03", "57P05", "57014"),
)
BUSY_SQLSTATE_CLASS = "08"

Fence = Callable[[Session], None]
"""Raises an error of ours if who has begun a transaction may not write any more."""


class Transaction:
    """One transaction: everything done through it is committed together, or not at all."""

    def __init__(self, session: Session) -> None:
        self.session = session

    @cached_property
    def studies(self) -> StudyIndex:
        """Studies and the images held of them."""
        return StudyIndex(self.session)

    @cached_property
    def arrivals(self) -> Arrivals:
        """Studies that are arriving."""
        return Arrivals(self.session)

    @cached_property
    def associations(self) -> Associations:
        """Associations that are open."""
        return Associations(self.session)

    @cached_property
    def jobs(self) -> Jobs:
        """Analyses."""
        return Jobs(self.session)

    @cached_property
    def results(self) -> Results:
        """What was made, and where it has been delivered."""
        return Results(self.session)

    @cached_property
    def notifications(self) -> Notifications:
        """Who is to be told how jobs ended."""
        return Notifications(self.session)

    @cached_property
    def commitments(self) -> Commitments:
        """What destinations were asked to keep safe."""
        return Commitments(self.session)

    @cached_property
    def commitment_requests(self) -> CommitmentRequests:
        """What senders ask this node to keep safe."""
        return CommitmentRequests(self.session)

    @cached_property
    def refusals(self) -> Refusals:
        """What destinations do not take."""
        return Refusals(self.session)

    @cached_property
    def patients(self) -> Patients:
        """What stands for patients."""
        return Patients(self.session)

    @cached_property
    def retention(self) -> Retention:
        """Studies whose images may go."""
        return Retention(self.session)

    @cached_property
    def audit(self) -> AuditTrail:
        """What was done with studies, by whom."""
        return AuditTrail(self.session)

    @cached_property
    def listing(self) -> Listing:
        """Many studies at a glance."""
        return Listing(self.session)

    @cached_property
    def accounts(self) -> Accounts:
        """Who may use the web page, and who is signed in."""
        return Accounts(self.session)

    @cached_property
    def workers(self) -> Workers:
        """Worker processes and their signs of life."""
        return Workers(self.session)

    @cached_property
    def drains(self) -> Drains:
        """Roles that take no new work."""
        return Drains(self.session)

    def now(self) -> datetime:
        """Read the database's clock: the one that several hosts agree on."""
        clock: sa.ColumnElement[datetime] = sa.func.current_timestamp(type_=UtcDateTime())
        if self.session.get_bind().dialect.name == "sqlite":
            # its current_timestamp has whole seconds
            clock = sa.func.strftime("%Y-%m-%d %H:%M:%f", "now", type_=UtcDateTime())
        return self.session.execute(sa.select(sa.type_coerce(clock, UtcDateTime()))).scalar_one()


class Database:
    """The index and the queue's state, on SQLite or PostgreSQL.

    Parameters
    ----------
    url
        ``sqlite:///path`` or ``postgresql+psycopg://user@host/name``.

    Raises
    ------
    SettingsError
        If the URL names another kind of database.
    """

    def __init__(self, url: str) -> None:
        self.engine = _create_engine(url, forced=True)
        self._unforced = _create_engine(url, forced=False) if self._is_sqlite else self.engine
        self._fence: Fence | None = None

    def upgrade(self) -> None:
        """Bring the tables to the newest version; safe when several processes start at once.

        Raises
        ------
        StorageError
            If the database cannot be reached or changed, or if a newer program made its tables.
        """
        # as slow to load as all the rest, and nobody else needs it
        from alembic import command  # noqa: PLC0415
        from alembic.migration import MigrationContext  # noqa: PLC0415
        from alembic.util import CommandError  # noqa: PLC0415

        from storage.migrations import VERSION_TABLE, configuration  # noqa: PLC0415

        with mapped_errors(), self.engine.connect() as connection, _rebuilding(connection):
            _lock_for_upgrade(connection)
            versions = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
            before = versions.get_current_heads()
            try:
                command.upgrade(configuration(connection), "head")
            except CommandError as error:
                raise StorageError(
                    f"the tables have version {', '.join(before)}, which this program does not "
                    "know: install the version that made them, or put a backup back"
                ) from error
            if versions.get_current_heads() != before:
                _refuse_dangling(connection)
            connection.commit()

    @contextmanager
    def begin(self, *, forced: bool = True) -> Iterator[Transaction]:
        """Open a transaction for reading and writing; it commits at the end, or rolls back.

        On SQLite the write lock is taken here, so that nothing read in it can be outdated when it
        writes.

        Parameters
        ----------
        forced
            Whether it survives a loss of power when this returns. Without, SQLite may lose it
            then, never a part of it, and nothing at the end of a process: for what can be found
            again on the disk. PostgreSQL, which may restart on its own, loses nothing.

        Raises
        ------
        DatabaseBusyError
            If another process holds the database for too long, or it cannot be reached.
        StorageFullError
            If the database has no room.
        StorageError
            If the database refuses what was asked for another reason.
        """
        engine = self.engine if forced else self._unforced
        with mapped_errors(), Session(engine, expire_on_commit=False) as session:
            if self._is_sqlite:
                session.connection().exec_driver_sql("BEGIN IMMEDIATE")
            if self._fence is not None:
                self._fence(session)
            yield Transaction(session)
            session.commit()

    def fenced(self, fence: Fence) -> "Database":
        """Give the same database to somebody who may write only while a fence lets them."""
        view = copy.copy(self)
        view._fence = fence
        return view

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Open a transaction that only reads one consistent state, and waits for no writer.

        Raises
        ------
        StorageError
            As `begin`.
        """
        with mapped_errors(), Session(self.engine, expire_on_commit=False) as session:
            if self._is_sqlite:
                session.connection().exec_driver_sql("BEGIN")
            else:
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
                session.execute(postgresql.WITHOUT_LIMIT)
            yield Transaction(session)
            session.rollback()

    def close(self) -> None:
        """Close all connections; the database can be used again afterwards."""
        self.engine.dispose()
        self._unforced.dispose()

    @property
    def _is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"


def _create_engine(url: str, *, forced: bool) -> sa.Engine:
    """Make the engine that index and queue share."""
    try:
        kind = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise SettingsError("storage.database_url is no database URL") from error
    if kind.get_backend_name() == "sqlite":
        return _create_sqlite_engine(kind, forced=forced)
    if kind.get_driver_name() == "psycopg":
        return postgresql.create_engine(kind)
    raise SettingsError(
        f"storage.database_url is of kind {kind.drivername!r}; "
        "known are 'sqlite' and 'postgresql+psycopg'"
    )


def _create_sqlite_engine(url: sa.URL, *, forced: bool) -> sa.Engine:
    """Make an engine on a file, in WAL mode, durable at each commit or at the next forced one."""
    if not url.database or url.database == ":memory:":
        raise SettingsError("storage.database_url names no file: sqlite:///path is needed")
    Path(url.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = sa.create_engine(
        url,
        pool_size=POOL_SIZE,
        max_overflow=POOL_SIZE,
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = "IMMEDIATE"
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute(f"PRAGMA synchronous={'FULL' if forced else 'NORMAL'}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    return engine


@contextmanager
def _rebuilding(connection: sa.Connection) -> Iterator[None]:
    """Let SQLite replace tables to which others refer: it changes no column otherwise.

    What it drops for that would take along, or be held by, the rows that refer to it
    (https://www.sqlite.org/lang_altertable.html, section 7).
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        connection.rollback()  # within a transaction it could not be switched on again
        connection.exec_driver_sql("PRAGMA foreign_keys=ON")


def _refuse_dangling(connection: sa.Connection) -> None:
    """Refuse to commit rows that refer to nothing, which was not checked while tables changed."""
    if connection.dialect.name != "sqlite":
        return
    if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
        raise StorageError("the upgrade left rows that refer to nothing; nothing was changed")


def _lock_for_upgrade(connection: sa.Connection) -> None:
    """Begin a transaction in which no other process upgrades."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(UPGRADE_LOCK)))


@contextmanager
def mapped_errors() -> Iterator[None]:
    """Turn the errors of SQLAlchemy into ours; their text may quote rows, so it is dropped."""
    try:
        yield
    except sa.exc.TimeoutError as error:
        raise DatabaseBusyError("no database connection became free in time") from error
    except sa.exc.DBAPIError as error:
        raise _named(_first(error)) from error
    except sa.exc.SQLAlchemyError as error:
        raise StorageError(f"the database was misused ({type(error).__name__})") from error


def _first(error: sa.exc.DBAPIError) -> sa.exc.DBAPIError:
    """Find the error that began it: a full SQLite also fails at going back to a savepoint."""
    while isinstance(error.__context__, sa.exc.DBAPIError):
        error = error.__context__
    return error


def _named(error: sa.exc.DBAPIError) -> StorageError:
    """Name the fault behind a database error."""
    if isinstance(error.orig, sqlite3.Error):
        name = getattr(error.orig, "sqlite_errorname", None) or type(error.orig).__name__
        is_full = name == "SQLITE_FULL"
        is_busy = name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
    else:
        state = getattr(error.orig, "sqlstate", None)
        name = state or type(error.orig).__name__
        is_full = state in FULL_SQLSTATES
        is_busy = (
            state in BUSY_SQLSTATES
            or (state or "").startswith(BUSY_SQLSTATE_CLASS)
            or (state is None and isinstance(error, sa.exc.OperationalError))
        )
    if is_full:
        return StorageFullError(f"the database has no room ({name})")
    if is_busy:
        return DatabaseBusyError(f"the database is held by another process or away ({name})")
    return StorageError(f"the database refused ({name})")
