"""Transactions, errors and versions of the tables."""

import multiprocessing
import sqlite3
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from config.errors import DatabaseBusyError, SettingsError, StorageError, StorageFullError
from storage.database import Database
from storage.migrations import configuration
from storage.tables import Base, StudyRow
from tests.support.databases import database_url, on_server
from tests.support.received import NOW, received

only_sqlite = pytest.mark.skipif(on_server(), reason="about SQLite")


def test_an_error_rolls_everything_back(database: Database) -> None:
    def register_and_fail() -> None:
        with database.begin() as transaction:
            transaction.studies.register(received(1), now=NOW)
            raise KeyError

    with pytest.raises(KeyError):
        register_and_fail()
    with database.read() as transaction:
        assert transaction.studies.get(1) is None


def test_the_newest_version_has_the_mapped_tables(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table": "midline_version",
                "include_name": lambda name, kind, _: (
                    kind != "table" or name in Base.metadata.tables
                ),
            },
        )
        assert compare_metadata(context, Base.metadata) == []


def test_states_are_kept_by_the_schema_as_well(database: Database) -> None:
    with database.begin() as transaction:
        transaction.studies.register(received(1), now=NOW)
    with pytest.raises(StorageError), database.begin() as transaction:
        transaction.session.execute(sa.text("UPDATE study SET state = 'LOST'"))


def test_tables_of_the_queue_are_left_alone(tmp_path: Path) -> None:
    with database_url(tmp_path) as url, closing(Database(url)) as database:
        with database.engine.begin() as connection:
            connection.execute(sa.text("CREATE TABLE workflow_status (id INTEGER PRIMARY KEY)"))
        database.upgrade()
        assert sa.inspect(database.engine).has_table("workflow_status")


def test_no_table_has_a_name_of_the_queue() -> None:
    schema = pytest.importorskip("dbos._schemas.system_database")
    names = {table.name for table in schema.SystemSchema.metadata_obj.tables.values()}
    assert names
    assert not names & set(Base.metadata.tables)


def upgrade(url: str) -> None:
    Database(url).upgrade()


@only_sqlite
def test_several_processes_may_upgrade_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new' / 'index.sqlite'}"
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        assert list(pool.map(upgrade, [url] * 2)) == [None] * 2


@only_sqlite
def test_sqlite_is_durable_and_checks_foreign_keys(database: Database) -> None:
    with database.engine.connect() as connection:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        values = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas]
    assert values == ["wal", 2, 1, 30_000]


@only_sqlite
def test_a_held_database_is_busy_and_worth_a_retry(database: Database) -> None:
    other = sqlite3.connect(str(database.engine.url.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=10")
    with pytest.raises(DatabaseBusyError) as raised, database.begin():
        pass
    assert raised.value.retryable
    other.execute("ROLLBACK")
    other.close()


@only_sqlite
def test_a_reader_waits_for_no_writer_and_sees_one_state(database: Database) -> None:
    with database.begin() as writer:
        writer.studies.register(received(1), now=NOW)
        with database.read() as reader:
            assert reader.studies.list_studies() == ()
    with database.read() as reader:
        assert len(reader.studies.list_studies()) == 1
        with database.begin() as writer:
            writer.studies.register(received(2, study="2.25.2", series="2.25.2.1"), now=NOW)
        assert len(reader.studies.list_studies()) == 1


@only_sqlite
def test_a_database_without_room_is_full(database: Database) -> None:
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1")

    def fill() -> None:
        with database.begin() as transaction:
            for n in range(2000):
                instance = received(n, study=f"2.25.{n}", series=f"2.25.{n}.1")
                transaction.studies.register(instance, now=NOW)

    with pytest.raises(StorageFullError):
        fill()


def test_an_error_of_the_database_quotes_no_row(database: Database) -> None:
    with pytest.raises(StorageError) as raised, database.begin() as transaction:
        transaction.session.execute(
            sa.text("INSERT INTO study (patient_key) VALUES (:key)"), {"key": "SECRET"}
        )
    assert "SECRET" not in str(raised.value)


def test_times_of_any_zone_come_back_in_utc(database: Database) -> None:
    there = timezone(timedelta(hours=5, minutes=30))
    with database.begin() as transaction:
        transaction.studies.register(received(1), now=NOW.astimezone(there))
        study = transaction.studies.get(1)
    assert study is not None
    assert study.last_received_at == NOW
    assert study.last_received_at.utcoffset() == timedelta(0)


def test_a_time_without_zone_is_refused(database: Database) -> None:
    naive = datetime(2030, 1, 1)  # noqa: DTZ001 - what is refused
    with pytest.raises(StorageError), database.begin() as transaction:
        transaction.studies.register(received(1), now=naive)


@only_sqlite
def test_a_number_is_not_given_again_after_its_study_was_removed(database: Database) -> None:
    with database.begin() as transaction:
        values = {
            "patient_key": "a",
            "state": "RECEIVING",
            "generation": 0,
            "num_instances": 0,
            "num_duplicates": 0,
            "first_received_at": NOW,
            "last_received_at": NOW,
            "calling_ae_title": "CT1",
        }
        insert = sa.insert(StudyRow).values(**values).returning(StudyRow.id)
        first = transaction.session.scalar(insert.values(study_instance_uid="2.25.1"))
        transaction.session.execute(sa.delete(StudyRow))
        second = transaction.session.scalar(insert.values(study_instance_uid="2.25.2"))
    assert (first, second) == (1, 2)


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///:memory:", "mysql://host/name", "no url", "postgresql+psycopg2://h/x"],
)
def test_another_kind_of_database_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"storage\.database_url"):
        Database(url)


FIRST_ROWS = """
INSERT INTO study (id, study_instance_uid, patient_key, state, generation, num_instances,
  num_duplicates, first_received_at, last_received_at, calling_ae_title)
  VALUES (1, '2.25.1', 'key', 'COMPLETE', 1, 1, 0, '2030-01-01', '2030-01-01', 'CT1');
INSERT INTO completion (study_id, generation, num_instances, last_received_at, completed_at,
  evidence) VALUES (1, 1, 1, '2030-01-01', '2030-01-01', 'quiet');
INSERT INTO job (id, study_id, generation, run, state, attempts, created_at)
  VALUES (1, 1, 1, 1, 'SUCCEEDED', 1, '2030-01-01');
INSERT INTO result (id, job_id, kind, sop_class_uid, sop_instance_uid, path, sha256, position,
  created_at) VALUES (1, 1, 'SR', '1.2', '2.25.2', 'results/1', 'abc', 0, '2030-01-01');
INSERT INTO delivery (id, result_id, destination, state, attempts, created_at, opened_at)
  VALUES (7, 1, 'pacs', 'DEAD', 2, '2030-01-01', '2030-01-01')
"""
"""A study with its job, a result and a delivery, as the first version held them."""


@only_sqlite
def test_an_index_of_the_first_version_keeps_its_deliveries(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'index.sqlite'}")
    with database.engine.connect() as connection:
        command.upgrade(configuration(connection), "0001")
        connection.commit()
    with database.engine.begin() as connection:
        for statement in FIRST_ROWS.split(";"):
            connection.exec_driver_sql(statement)
    database.upgrade()
    with database.engine.begin() as connection:
        kept = connection.exec_driver_sql("SELECT id, state, attempts FROM delivery").all()
        assert kept == [(7, "DEAD", 2)]
        assert connection.exec_driver_sql("SELECT id, priority FROM job").all() == [(1, "ROUTINE")]
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
        connection.exec_driver_sql("UPDATE delivery SET state = 'REPLACED'")
        names = {each["name"] for each in sa.inspect(connection).get_indexes("delivery")}
    assert "ix_delivery_state_destination_commitment" in names
    database.close()
