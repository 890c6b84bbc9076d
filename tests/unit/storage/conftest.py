"""A database for each test, on SQLite or on the PostgreSQL server of MIDLINE_TEST_DATABASE_URL."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage.database import Database
from storage.tables import Base

SERVER = "MIDLINE_TEST_DATABASE_URL"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(os.environ.get(SERVER, f"sqlite:///{tmp_path / 'index.sqlite'}"))
    database.upgrade()
    yield database
    if SERVER in os.environ:
        _empty(database)
    database.close()


def _empty(database: Database) -> None:
    with database.engine.begin() as connection:
        names = ", ".join(Base.metadata.tables)
        connection.execute(sa.text(f"TRUNCATE {names} RESTART IDENTITY"))
