"""A message is written with who writes it, and no failure to write one stops anybody."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.audit import events
from node.audit.codes import Event, Outcome
from node.audit.messages import Message, from_json
from node.audit.trail import QUIET_SECONDS, Trail, person, running
from storage.database import Database
from tests.support.audit_messages import CT1, IMAGES, STUDY
from tests.support.databases import url_in


class Clock:
    """Seconds as a test wants them."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(url_in(tmp_path))
    yield database
    database.close()


@pytest.fixture
def trail(database: Database, clock: Clock) -> Trail:
    return Trail(database, source_id="site", ae_title="MIDLINE", clock=clock)


def written(database: Database) -> list[Message]:
    with database.read() as transaction:
        assert transaction.audit.fault() is None
        return [from_json(each.message_json) for each in transaction.audit.read()]


def test_a_message_names_the_process_that_writes_it(database: Database, trail: Trail) -> None:
    trail.write(events.received(CT1, STUDY, IMAGES))
    (message,) = written(database)
    sender, own = message.participants
    assert sender.ae_title == "CT1"
    assert re.fullmatch(r"\d+@.+", own.user_id)
    assert (own.ae_title, message.source_id) == ("MIDLINE", "site")
    with database.read() as transaction:
        (record,) = transaction.audit.read(event=Event.INSTANCES_TRANSFERRED.value.value)
    assert (record.outcome, record.recorded_at) == (0, message.moment)


def test_a_process_tells_its_beginning_and_its_end(database: Database, trail: Trail) -> None:
    with pytest.raises(KeyboardInterrupt), running(trail):
        raise KeyboardInterrupt
    types = [message.event_type for message in written(database)]
    assert [t.value.value for t in types if t] == ["110120", "110121"]


def test_a_trail_that_is_switched_off_writes_nothing(database: Database) -> None:
    Trail(database, source_id="s", ae_title="A", enabled=False).write(events.started())
    assert written(database) == []


def test_a_lost_message_stops_nobody_and_is_counted(
    database: Database, trail: Trail, caplog: pytest.LogCaptureFixture
) -> None:
    with database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE audit RENAME TO lost")
    with caplog.at_level(logging.ERROR):
        trail.write(events.received(CT1, STUDY, IMAGES))
        trail.write(events.started())
    assert trail.num_lost == 2
    assert "DICOM Instances Transferred" in caplog.text
    assert STUDY.study_instance_uid not in caplog.text


def test_the_same_alert_is_written_once_a_minute_with_its_number(
    database: Database, trail: Trail, clock: Clock
) -> None:
    alert = events.stranger(events.peer("", "10.9.9.9"), "an AE title that is not known")
    for _ in range(500):
        trail.write(alert)
    trail.write(events.stranger(events.peer("", "10.9.9.8"), "an AE title that is not known"))
    assert len(written(database)) == 2
    clock.now += QUIET_SECONDS
    trail.write(alert)
    clock.now += QUIET_SECONDS
    trail.write(alert)
    said = [message.description for message in written(database)]
    assert said[2:] == ["an AE title that is not known; 499 more before", said[0]]


def test_countless_different_alerts_are_not_told_apart(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.audit.trail.MOST_REMEMBERED", 5)
    trail = Trail(database, source_id="s", ae_title="A", clock=clock)
    for number in range(50):
        trail.write(events.stranger(events.peer("", f"10.0.0.{number}"), "unknown"))
    assert len(written(database)) == 6


def test_other_messages_are_written_however_alike_they_are(
    database: Database, trail: Trail
) -> None:
    for _ in range(3):
        trail.write(events.sent(CT1, STUDY, IMAGES, problem="away"))
    outcomes = [message.outcome for message in written(database)]
    assert outcomes == [Outcome.MINOR_FAILURE] * 3


def test_a_person_is_known_by_the_operating_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "somebody-else")
    monkeypatch.setenv("SUDO_USER", "alice")
    assert person().user_id not in ("", "somebody-else")
    assert person().alternative_id == "alice"
