"""``midline audit`` and what other commands leave in the trail."""

import json
import stat
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import sqlalchemy as sa

from node.audit.codes import Event
from node.audit.messages import Message, from_json
from node.audit.trail import Trail, person
from storage.database import Database
from storage.records import JobRecord, StudyState
from tests.support.audit_messages import MESSAGES
from tests.support.received import NOW
from tests.unit.node.cli.conftest import Run


@pytest.fixture
def trail(database: Database) -> Database:
    """Write one message of each kind."""
    trail = Trail(database, source_id="site", ae_title="MIDLINE")
    for message in MESSAGES.values():
        trail.write(message)
    return database


def told(database: Database) -> list[Message]:
    with database.read() as transaction:
        return [from_json(each.message_json) for each in transaction.audit.read()]


def test_the_latest_messages_are_shown_and_looking_is_a_message_too(
    run: Run, trail: Database
) -> None:
    text = run("audit", "show").stdout
    for words in ("DICOM Study Deleted", "Node Authentication", "queue retry", "CT1, MIDLINE"):
        assert words in text
    assert "h1:" not in text
    assert "1.2.3.4711" not in text
    last = told(trail)[-1]
    assert (last.event, last.description) == (Event.AUDIT_LOG_USED, "audit show")
    assert [each.user_id for each in last.participants if each.is_requestor] == [person().user_id]


@pytest.mark.parametrize("name", ["110105", "study_deleted", "Study-Deleted"])
def test_messages_are_found_by_their_kind(run: Run, trail: Database, name: str) -> None:
    shown = json.loads(run("audit", "show", "--event", name, "--json").stdout)
    assert {each["event"] for each in shown} == {"110105"}
    assert len(shown) == 2
    assert len(json.loads(run("audit", "show", "--limit", "3", "--json").stdout)) == 3


def test_an_unknown_kind_is_answered_with_those_there_are(run: Run, trail: Database) -> None:
    result = run("audit", "show", "--event", "LOGIN")
    assert result.exit_code == 2
    assert "110113 (SECURITY_ALERT)" in result.stderr


def test_a_whole_trail_tells_its_head(run: Run, trail: Database) -> None:
    head = json.loads(run("audit", "verify", "--json").stdout)
    assert head["num_messages"] == len(MESSAGES)
    run("audit", "show")
    assert run("audit", "verify", "--contains", head["sha256"]).exit_code == 0


def test_a_broken_trail_is_told_with_its_place(run: Run, trail: Database) -> None:
    with trail.engine.begin() as connection:
        connection.execute(sa.text("UPDATE audit SET outcome = 0 WHERE outcome = 8"))
    result = run("audit", "verify")
    assert result.exit_code == 1
    assert "is broken at message" in result.stderr


def test_a_cut_trail_lacks_a_head_that_was_noted(run: Run, trail: Database) -> None:
    head = json.loads(run("audit", "verify", "--json").stdout)
    with trail.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM audit WHERE id > 3"))
    assert run("audit", "verify").exit_code == 0
    result = run("audit", "verify", "--contains", head["sha256"])
    assert result.exit_code == 1
    assert "its end was cut off" in result.stderr


def test_an_export_as_xml_is_a_document_in_each_line(
    run: Run, trail: Database, tmp_path: Path
) -> None:
    out = tmp_path / "trail.xml"
    assert run("audit", "export", "--out", str(out)).exit_code == 0
    *documents, anchor = out.read_text().splitlines()
    assert {ET.fromstring(each).tag for each in documents} == {"AuditMessage"}  # noqa: S314
    assert len(documents) == len(MESSAGES) + 1
    head = json.loads(run("audit", "verify", "--json").stdout)
    assert anchor == f"<!-- head of {head['num_messages']} messages: {head['sha256']} -->"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_an_export_as_json_holds_the_chain(run: Run, trail: Database) -> None:
    *lines, last = run("audit", "export", "--format", "json").stdout.splitlines()
    records = [json.loads(line) for line in lines]
    previous = [each["previous_sha256"] for each in records[1:]]
    assert previous == [each["sha256"] for each in records[:-1]]
    assert json.loads(last)["head"]["sha256"] == records[-1]["sha256"]


def test_an_export_for_a_log_names_nobody(run: Run, trail: Database) -> None:
    text = run("audit", "export", "--format", "log").stdout
    assert "study=17" in text
    assert "1.2.3.4711" not in text
    assert "h1:" not in text


def test_an_export_is_narrowed_by_time_and_kind(run: Run, trail: Database) -> None:
    tomorrow = (NOW + timedelta(days=40_000)).strftime("%Y-%m-%d")
    words = ("audit", "export", "--format", "json")
    assert len(run(*words, "--since", tomorrow).stdout.splitlines()) == 1
    assert len(run(*words, "--until", "2001-01-01").stdout.splitlines()) == 1
    assert len(run(*words, "--event", "110105").stdout.splitlines()) == 3


def test_an_export_that_cannot_be_written_is_one_line(run: Run, trail: Database) -> None:
    result = run("audit", "export", "--out", "/nowhere/trail.xml")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("queue", "show", "1"), "shown"),
        (("queue", "retry", "1"), "queue retry"),
        (("queue", "retry", "1", "--deliveries"), "queue retry --deliveries"),
    ],
)
def test_commands_about_a_study_are_told_with_the_person(
    run: Run, database: Database, job: JobRecord, words: tuple[str, ...], said: str
) -> None:
    assert run(*words).exit_code == 0
    (message,) = told(database)
    assert message.event is Event.INSTANCES_ACCESSED
    assert message.description == said
    assert message.objects[0].number == job.study_id


def test_taking_a_study_out_of_quarantine_is_told(
    run: Run, database: Database, job: JobRecord
) -> None:
    with database.begin() as transaction:
        transaction.studies.quarantine(job.study_instance_uid)
    assert run("queue", "readmit", str(job.study_id)).exit_code == 0
    assert [message.description for message in told(database)] == ["queue readmit"]
    with database.read() as transaction:
        assert transaction.studies.counts()[StudyState.QUARANTINED] == 0


def test_what_was_not_done_is_not_told(run: Run, database: Database, job: JobRecord) -> None:
    assert run("queue", "cancel", "1").exit_code == 2
    assert run("queue", "retry", "99").exit_code == 2
    assert told(database) == []
