"""A database for each test, on SQLite or on a PostgreSQL server: see `tests.support.databases`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.database import Database
from tests.support.databases import database_url


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with database_url(tmp_path, has_tables=True) as url:
        database = Database(url)
        yield database
        database.close()
