"""A database as an earlier version of the node left it, filled: the tables of migration 0002."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from alembic import command

from storage.database import Database
from storage.migrations import configuration

VERSION = "0002"
NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
SR = "1.2.840.10008.5.1.4.1.1.88.34"
CT = "1.2.840.10008.5.1.4.1.1.2"
DIGEST = "ab" * 32

Row = Mapping[str, Any]


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def study(number: int, state: str, **more: object) -> Row:
    return {
        "id": number,
        "study_instance_uid": f"2.25.{number}",
        "patient_key": f"{number:064x}",
        "state": state,
        "generation": 1,
        "num_instances": 1,
        "num_duplicates": 0,
        "first_received_at": at(0),
        "last_received_at": at(10),
        "released_at": at(11),
        "calling_ae_title": "CT1",
        **more,
    }


def image(number: int) -> Row:
    return {
        "id": number,
        "study_id": number,
        "series_id": number,
        "generation": 1,
        "sop_instance_uid": f"2.25.{number}.1.1",
        "sop_class_uid": CT,
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "calling_ae_title": "CT1",
        "sha256": f"{number:064x}",
        "num_bytes": 526_336,
        "path": f"received/{number:02x}/{number:064x}.dcm",
        "received_at": at(10),
    }


def delivery(number: int, destination: str, state: str, **more: object) -> Row:
    return {
        "id": number,
        "result_id": 1,
        "destination": destination,
        "state": state,
        "attempts": 1,
        "created_at": at(60),
        "opened_at": at(60),
        **more,
    }


ROWS: Mapping[str, tuple[Row, ...]] = {
    "study": (
        study(1, "COMPLETE"),
        study(2, "COMPLETE"),
        study(3, "RECEIVING", generation=0),
        study(4, "QUARANTINED", generation=0),
    ),
    "series": tuple(
        {"id": n, "study_id": n, "series_instance_uid": f"2.25.{n}.1"} for n in range(1, 5)
    ),
    "instance": tuple(map(image, range(1, 5))),
    "completion": tuple(
        {
            "id": n,
            "study_id": n,
            "generation": 1,
            "num_instances": 1,
            "last_received_at": at(10),
            "completed_at": at(31),
            "evidence": "quiet",
        }
        for n in (1, 2)
    ),
    "conflict": (
        {
            "id": 1,
            "kind": "INSTANCE",
            "study_instance_uid": "2.25.1",
            "sop_instance_uid": "2.25.1.1.1",
            "calling_ae_title": "CT1",
            "sha256": DIGEST,
            "path": "conflicts/x.dcm",
            "recorded_at": at(12),
        },
    ),
    "job": (
        {
            "id": 1,
            "study_id": 1,
            "generation": 1,
            "run": 1,
            "state": "SUCCEEDED",
            "attempts": 1,
            "outcome": "POSITIVE",
            "model": "sym-transnet-lite 0.1.0",
            "findings_json": '{"volume_ml": {"SDH": 12.5}}',
            "created_at": at(31),
            "started_at": at(32),
            "finished_at": at(60),
        },
        {
            "id": 2,
            "study_id": 2,
            "generation": 1,
            "run": 1,
            "state": "QUEUED",
            "attempts": 0,
            "created_at": at(31),
        },
    ),
    "result": (
        {
            "id": 1,
            "job_id": 1,
            "kind": "SR",
            "sop_class_uid": SR,
            "sop_instance_uid": "2.25.9",
            "path": "results/1/x.dcm",
            "sha256": DIGEST,
            "position": 1,
            "created_at": at(60),
        },
    ),
    "delivery": (
        delivery(1, "pacs", "SENT", sent_at=at(61)),
        delivery(2, "second", "PENDING", last_error="away", next_attempt_at=at(90)),
        delivery(3, "third", "DEAD", last_error="refused"),
    ),
    "refusal": (
        {
            "id": 1,
            "destination": "third",
            "uid": SR,
            "job_id": None,
            "answer": "no presentation context",
            "refused_at": at(61),
        },
    ),
    "worker": (
        {
            "executor_id": "analyse-host-1",
            "role": "analyse",
            "host": "host",
            "pid": 1,
            "device": "cpu",
            "started_at": at(0),
            "beat_at": at(60),
        },
    ),
}


def fill(database: Database) -> None:
    """Make the tables of the earlier version, and their rows."""
    with database.engine.connect() as connection:
        command.upgrade(configuration(connection), VERSION)
        connection.commit()
    for name in ROWS:
        _insert(database, name)


def read(database: Database, name: str) -> list[dict[str, Any]]:
    """Read what the columns of the earlier version hold now, in the order of their key."""
    with database.engine.connect() as connection:
        table = _table(connection, name)
        columns = [table.c[key] for key in _keys(name)]
        query = sa.select(*columns).order_by(columns[0])
        return [dict(row) for row in connection.execute(query).mappings()]


def _insert(database: Database, name: str) -> None:
    with database.engine.begin() as connection:
        table = _table(connection, name)
        for row in ROWS[name]:
            values = {key: _plain(connection, value) for key, value in row.items()}
            connection.execute(table.insert().values(values))


def _table(connection: sa.Connection, name: str) -> sa.Table:
    return sa.Table(name, sa.MetaData(), autoload_with=connection)


def _keys(name: str) -> list[str]:
    return list(dict.fromkeys(key for row in ROWS[name] for key in row))


def _plain(connection: sa.Connection, value: object) -> object:
    is_sqlite = connection.dialect.name == "sqlite"
    return value.replace(tzinfo=None) if isinstance(value, datetime) and is_sqlite else value
