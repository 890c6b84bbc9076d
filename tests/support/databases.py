"""An empty database for a test: SQLite, or one of its own on a PostgreSQL server.

``MIDLINE_TEST_DATABASE_URL`` names the server, as a role that may create databases:
``postgresql+psycopg://user:password@host/name``.
"""

import atexit
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

import sqlalchemy as sa

from node.engine import migrate
from storage.database import Database

SERVER = "MIDLINE_TEST_DATABASE_URL"


def on_server() -> bool:
    """Whether tests run on a PostgreSQL server."""
    return SERVER in os.environ


@contextmanager
def database_url(folder: Path, *, has_tables: bool = False) -> Iterator[str]:
    """Give the URL of a database without rows, or without tables, which is removed at the end."""
    if not on_server():
        path = folder / "midline.sqlite"
        if has_tables:
            shutil.copyfile(_empty_file(), path)
        yield f"sqlite:///{path}"
        return
    name = _create(_template() if has_tables else "template1")
    try:
        yield _url(name)
    finally:
        _drop(name)


_names: dict[Path | None, str] = {}
"""Databases on the server by their folders; that of no folder has nothing but tables."""


def url_in(folder: Path, *, like: Path | None = None) -> str:
    """Give the URL of the database that belongs to a folder; it has all tables.

    SQLite in the folder itself, or one on the server, which is removed when this process ends.

    Parameters
    ----------
    folder
        The same one gets the same database.
    like
        Folder of which this one is a copy; nobody may be using its database.
    """
    if not on_server():
        path = folder / "midline.sqlite"
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            shutil.copyfile(_empty_file(), path)
        return f"sqlite:///{path}"
    if folder not in _names:
        _names[folder] = _create(_template() if like is None else _names[like])
    return _url(_names[folder])


def _template() -> str:
    """Make a database on the server with nothing but tables, once; its name."""
    if None not in _names:
        atexit.register(_drop_all)
        _names[None] = _create("template1")
        _make_tables(_url(_names[None]))
    return _names[None]


@cache
def _empty_file() -> Path:
    """Make a file of SQLite with nothing but tables, once: copying is quicker."""
    folder = Path(tempfile.mkdtemp(prefix="midline-test-"))
    atexit.register(shutil.rmtree, folder)
    path = folder / "empty.sqlite"
    _make_tables(f"sqlite:///{path}")
    return path


def _make_tables(url: str) -> None:
    with closing(Database(url)) as database:
        database.upgrade()
        migrate(database)


def _drop_all() -> None:
    for name in _names.values():
        _drop(name)


def _create(template: str) -> str:
    """Create a database as a copy of another one; its name."""
    name = f"midline_test_{uuid.uuid4().hex}"
    # CREATE DATABASE takes no parameters and runs in no transaction; the names are our own
    _command(f"CREATE DATABASE {name} TEMPLATE {template}")
    # tests look into the queue's tables by their names alone
    _command(f"ALTER DATABASE {name} SET search_path = public, dbos")
    return name


def _drop(name: str) -> None:
    _command(f"DROP DATABASE {name} WITH (FORCE)")


def _command(sql: str) -> None:
    server = sa.make_url(os.environ[SERVER])
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(sql)


def _url(name: str) -> str:
    server = sa.make_url(os.environ[SERVER])
    return server.set(database=name).render_as_string(hide_password=False)
