"""A filled database of an earlier version becomes one of this version, and nothing is lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from config.errors import StorageError
from storage.database import Database
from storage.records import CommitmentState, DeliveryState, JobState, StudyState
from storage.upkeep import faults, versions
from tests.support import earlier
from tests.support.databases import database_url


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with database_url(tmp_path) as url:
        database = Database(url)
        earlier.fill(database)
        yield database
        database.close()


def test_every_row_survives_the_upgrade(database: Database) -> None:
    before = {name: earlier.read(database, name) for name in earlier.ROWS}
    assert all(len(rows) == len(earlier.ROWS[name]) for name, rows in before.items())
    assert versions(database).current == earlier.VERSION
    database.upgrade()
    database.upgrade()
    assert versions(database).is_newest
    assert {name: earlier.read(database, name) for name in earlier.ROWS} == before
    assert faults(database) == ()


def test_what_an_earlier_version_left_is_worked_on(database: Database) -> None:
    database.upgrade()
    with database.begin() as transaction:
        assert transaction.jobs.counts()[JobState.QUEUED] == 1
        assert transaction.studies.counts()[StudyState.QUARANTINED] == 1
        done, waiting = transaction.jobs.get(1), transaction.jobs.get(2)
        deliveries = transaction.results.deliveries()
        assert transaction.jobs.start(2, "analyse-1", now=earlier.NOW) is not None
        assert transaction.refusals.of("third")
        assert transaction.notifications.list() == ()
    assert done is not None
    assert waiting is not None
    assert (done.outcome, done.finished_at) == ("POSITIVE", earlier.at(60))
    states = {each.destination: (each.state, each.commitment) for each in deliveries}
    assert states == {
        "pacs": (DeliveryState.SENT, CommitmentState.NOT_OFFERED),
        "second": (DeliveryState.PENDING, CommitmentState.NOT_ASKED),
        "third": (DeliveryState.DEAD, CommitmentState.NOT_ASKED),
    }


def test_tables_of_a_newer_program_are_refused_and_stay_as_they_are(database: Database) -> None:
    database.upgrade()
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE midline_version SET version_num = '9999'")
    with pytest.raises(StorageError, match="version 9999, which this program does not know"):
        database.upgrade()
    assert versions(database).current == "9999"
