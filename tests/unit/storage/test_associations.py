"""What listeners tell each other of open associations, on whichever host they run."""

import threading
from datetime import timedelta

import pytest

from storage.database import Database
from storage.records import NewWorker
from tests.support.databases import on_server
from tests.support.received import NOW, received
from tests.support.waiting import eventually


@pytest.fixture(autouse=True)
def studies(database: Database) -> None:
    with database.begin() as transaction:
        for number in (1, 2):
            study = f"2.25.{number}"
            image = received(number, study=study, series=f"{study}.1")
            transaction.studies.register(image, now=NOW)
        for listener in ("a", "b"):
            beat = NewWorker(listener, "listen", "host", 1, "")
            transaction.workers.beat(beat, now=transaction.now())


def begin(
    database: Database, name: str, *study_ids: int, listener: str = "a", title: str = "CT1"
) -> None:
    with database.begin() as transaction:
        transaction.associations.begin(name, listener=listener, calling_ae_title=title, now=NOW)
        for study_id in study_ids:
            transaction.associations.sends(name, study_id)


def end(database: Database, name: str, *study_ids: int) -> frozenset[int]:
    with database.begin() as transaction:
        return transaction.associations.end(name, study_ids)


def end_lost(database: Database, *still_open: str, listener: str = "a") -> frozenset[int]:
    with database.begin() as transaction:
        return transaction.associations.end_lost(listener=listener, still_open=still_open)


def is_calling(database: Database, title: str) -> bool:
    with database.read() as transaction:
        return transaction.associations.is_calling(title)


def test_a_study_is_idle_when_the_last_association_that_sent_it_ends(database: Database) -> None:
    begin(database, "first", 1, 2)
    begin(database, "second", 2, listener="b")
    assert end(database, "first", 1, 2) == {1}
    assert end(database, "second", 2) == {2}


def test_entering_twice_is_entering_once(database: Database) -> None:
    begin(database, "first", 1)
    begin(database, "first", 1, 2)
    assert end(database, "first", 1, 2) == {1, 2}
    assert not is_calling(database, "CT1")


def test_a_sender_calls_as_long_as_any_listener_has_it(database: Database) -> None:
    begin(database, "first")
    begin(database, "second", listener="b")
    end(database, "first")
    assert is_calling(database, "CT1")
    assert not is_calling(database, "CT2")
    end(database, "second")
    assert not is_calling(database, "CT1")


def test_a_listener_that_is_gone_leaves_interrupted_studies(database: Database) -> None:
    begin(database, "own", 1)
    begin(database, "other", 2, listener="b")
    assert end_lost(database, "own") == frozenset()
    with database.begin() as transaction:
        transaction.workers.remove("b")
    assert end_lost(database, "own") == {2}
    assert end_lost(database, "own") == frozenset()
    assert is_calling(database, "CT1")
    assert end(database, "own", 1) == {1}


def test_what_ended_while_the_database_was_away_is_lost_too(database: Database) -> None:
    begin(database, "own", 1)
    assert end_lost(database) == {1}
    assert not is_calling(database, "CT1")


@pytest.mark.skipif(not on_server(), reason="SQLite lets one write at a time anyway")
def test_of_two_that_end_at_the_same_time_the_second_gets_the_study(database: Database) -> None:
    begin(database, "first", 1)
    begin(database, "second", 1, listener="b")
    idle: list[frozenset[int]] = []
    with database.begin() as transaction:
        assert transaction.associations.end("first", [1]) == frozenset()
        thread = threading.Thread(target=lambda: idle.append(end(database, "second", 1)))
        thread.start()
        thread.join(timedelta(seconds=0.5).total_seconds())
        assert not idle
    eventually(lambda: bool(idle))
    thread.join()
    assert idle == [frozenset({1})]
