"""An empty database for a test: SQLite, or one of its own on a PostgreSQL server.

``MIDLINE_TEST_DATABASE_URL`` names the server, as a role that may create databases:
``postgresql+psycopg://user:password@host/name``.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

SERVER = "MIDLINE_TEST_DATABASE_URL"


def on_server() -> bool:
    """Whether tests run on a PostgreSQL server."""
    return SERVER in os.environ


@contextmanager
def database_url(folder: Path) -> Iterator[str]:
    """Give the URL of an empty database, which is removed at the end."""
    if not on_server():
        yield f"sqlite:///{folder / 'midline.sqlite'}"
        return
    server = sa.make_url(os.environ[SERVER])
    name = f"midline_test_{uuid.uuid4().hex}"
    # CREATE DATABASE takes no parameters and runs in no transaction; the name is our own
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
