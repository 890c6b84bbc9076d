"""``midline audit``: show, check and export the audit trail."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TextIO

import typer

from config.errors import StorageError, UsageError
from config.settings import Settings
from node.audit import events
from node.audit.codes import Event, Kind
from node.audit.lines import as_line
from node.audit.markup import as_xml
from node.audit.messages import Message, from_json
from node.audit.trail import person, trail_of
from node.cli.output import AsJson, as_plain, write_facts, write_json, write_table
from node.cli.site import open_index, settings_for_person
from node.operating.values import made_of
from storage.database import Database
from storage.records import AuditHead, AuditRecord

Form = Literal["xml", "json", "log"]
Since = Annotated[
    datetime | None, typer.Option(help="Only what was recorded from then on, in local time.")
]
Until = Annotated[
    datetime | None, typer.Option(help="Only what was recorded before then, in local time.")
]
EventName = Annotated[
    str | None, typer.Option("--event", help="Only this kind: its code or its name.")
]

app = typer.Typer(help="Show, check and export the audit trail.")


@dataclass(frozen=True)
class ShownMessage:
    """A message of the audit trail.

    Attributes
    ----------
    event
        Code of its kind.
    outcome
        0, 4, 8 or 12 (PS3.15 A.5.2).
    message
        What it says, by the attributes of PS3.15 A.5.
    previous_sha256, sha256
        Digest of the message before, and of this one with it.
    """

    id: int
    recorded_at: datetime
    event: str
    outcome: int
    message: dict[str, Any]
    previous_sha256: str
    sha256: str


@app.command()
def show(
    context: typer.Context,
    *,
    event: EventName = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many messages.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show the latest messages."""
    settings, code = settings_for_person(context), _code_of(event)
    with open_index(settings) as database:
        _tell(database, settings, "audit show")
        with database.read() as transaction:
            records = transaction.audit.latest(limit, event=code)
    if as_json:
        write_json([_shown(record) for record in records])
        return
    write_table(
        "Audit trail",
        (">Message", "Time", "Kind", ">Outcome", "Who", ">Study", "Said"),
        [_row(record) for record in records],
    )


@app.command()
def verify(
    context: typer.Context,
    *,
    contains: Annotated[
        str | None,
        typer.Option(metavar="DIGEST", help="Head that was noted earlier, and must be there."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check that nothing was changed, removed or inserted; tell the head, to be noted elsewhere."""
    settings = settings_for_person(context)
    with open_index(settings) as database, database.read() as transaction:
        fault, head = transaction.audit.fault(), transaction.audit.head()
        is_contained = contains is None or transaction.audit.contains(contains)
    if fault is not None:
        raise StorageError(
            f"the audit trail is broken at message {fault.message_id}: {fault.reason}"
        )
    if not is_contained:
        raise StorageError(
            "the audit trail lacks the head that was noted earlier: its end was cut off, or it is "
            "another trail"
        )
    if as_json:
        write_json(head)
    else:
        write_facts([("Messages", head.num_messages), ("Head", head.sha256), ("Chain", "whole")])


@app.command()
def export(
    context: typer.Context,
    *,
    form: Annotated[
        Form,
        typer.Option(
            "--format",
            help="xml: PS3.15 A.5, a message in each line; log: neither UID nor patient.",
        ),
    ] = "xml",
    since: Since = None,
    until: Until = None,
    event: EventName = None,
    out: Annotated[
        Path | None, typer.Option(dir_okay=False, help="File to write, instead of to the terminal.")
    ] = None,
) -> None:
    """Write messages to a file, with the head of the whole trail in its last line."""
    settings, code = settings_for_person(context), _code_of(event)
    with open_index(settings) as database, _opened(out) as file:
        _tell(database, settings, "audit export")
        with database.read() as transaction:
            found = transaction.audit.read(since=_aware(since), until=_aware(until), event=code)
            for record in found:
                file.write(_written(record, form) + "\n")
            file.write(_anchor(transaction.audit.head(), form) + "\n")


def _written(record: AuditRecord, form: Form) -> str:
    if form == "json":
        return json.dumps(as_plain(_shown(record)), sort_keys=True)
    message = _message_of(record)
    return as_xml(message) if form == "xml" else as_line(message)


def _anchor(head: AuditHead, form: Form) -> str:
    """Write the head of the trail, so that a file tells later whether the trail was cut."""
    match form:
        case "json":
            return json.dumps({"head": as_plain(head)}, sort_keys=True)
        case "xml":
            return f"<!-- head of {head.num_messages} messages: {head.sha256} -->"
        case "log":
            return f"# head of {head.num_messages} messages: {head.sha256}"


def _message_of(record: AuditRecord) -> Message:
    try:
        return from_json(record.message_json)
    except ValueError as error:
        raise StorageError(
            f"message {record.id} of the audit trail is damaged; midline audit verify tells where "
            "it begins"
        ) from error


def _row(record: AuditRecord) -> tuple[object, ...]:
    message = _message_of(record)
    numbers = [each.number for each in message.objects if each.kind is Kind.STUDY]
    kind = message.event if message.event_type is None else message.event_type
    who = [each.ae_title or each.user_id for each in message.participants]
    return (
        record.id,
        record.recorded_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        kind.value.meaning,
        record.outcome,
        ", ".join(dict.fromkeys(who)),
        numbers[0] if numbers else None,
        message.description,
    )


def _shown(record: AuditRecord) -> ShownMessage:
    return made_of(ShownMessage, record, message=json.loads(record.message_json))


def _tell(database: Database, settings: Settings, command: str) -> None:
    trail_of(database, settings).write(events.trail_used(person(), command))


def _code_of(name: str | None) -> str | None:
    """Find the code of a kind of message.

    Raises
    ------
    UsageError
        If there is no such kind.
    """
    if name is None:
        return None
    for each in Event:
        if name.upper().replace("-", "_").replace(" ", "_") in (each.name, each.value.value):
            return each.value.value
    known = ", ".join(f"{each.value.value} ({each.name})" for each in Event)
    raise UsageError(f"--event: {name!r} is no kind of message; known are {known}")


def _aware(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone()


@contextmanager
def _opened(path: Path | None) -> Iterator[TextIO]:
    """Open a file for this user alone, or standard output.

    Raises
    ------
    UsageError
        If it cannot be written.
    """
    if path is None:
        yield sys.stdout
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror})") from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        yield file
