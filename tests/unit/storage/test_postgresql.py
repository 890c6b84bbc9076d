"""How a process connects to PostgreSQL: what both sides do when a connection is cut."""

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from config.settings import LivenessSettings
from storage import postgresql


class NotConnectedError(Exception):
    """Ends a connection before it is tried."""


def arguments(url: str) -> dict[str, Any]:
    """What the driver gets to connect with."""
    engine, found = postgresql.create_engine(sa.make_url(url)), {}

    @event.listens_for(engine, "do_connect")
    def look(_: object, __: object, ___: object, given: dict[str, Any]) -> None:
        found.update(given)
        raise NotConnectedError

    with pytest.raises(NotConnectedError):
        engine.connect()
    return found


def test_both_sides_give_a_cut_connection_up() -> None:
    found = arguments("postgresql+psycopg://midline@db.example/midline")
    assert {name: found[name] for name in postgresql.CLIENT} == postgresql.CLIENT
    for name, value in postgresql.SERVER.items():
        assert f"-c {name}={value}" in found["options"]


def test_what_the_site_says_goes_before() -> None:
    found = arguments("postgresql+psycopg://midline@db.example/midline?connect_timeout=9")
    assert found["connect_timeout"] == "9"
    assert found["tcp_user_timeout"] == postgresql.CLIENT["tcp_user_timeout"]


def test_a_process_has_a_bounded_number_of_connections() -> None:
    engine = postgresql.create_engine(sa.make_url("postgresql+psycopg://midline@db.example/m"))
    assert isinstance(engine.pool, sa.QueuePool)
    assert engine.pool.size() + engine.pool._max_overflow == postgresql.MOST_CONNECTIONS


def test_the_server_ends_a_transaction_before_a_silent_worker_counts_as_dead() -> None:
    dead_after = LivenessSettings().dead_after_seconds
    idle = str(postgresql.SERVER["idle_in_transaction_session_timeout"])
    probing = [postgresql.SERVER[f"tcp_keepalives_{each}"] for each in ("interval", "count")]
    assert float(idle.removesuffix("s")) < dead_after
    assert int(postgresql.SERVER["tcp_keepalives_idle"]) + int(probing[0]) * int(probing[1]) < (
        dead_after
    )
