"""``midline notifications``: who is told of reports, what did not arrive, and trying it."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Annotated

import typer

from config.errors import UsageError
from config.settings import Settings
from node.cli.output import AsJson, write_json, write_table
from node.cli.site import open_index, settings_for_person
from node.cli.telling import tell_configured
from storage.records import NotificationRecord, NotificationState

app = typer.Typer(help="Show who is told of reports, tell again what did not arrive, try it.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Of a webhook or an HL7 receiver.")]


@dataclass(frozen=True)
class Receiver:
    """Somebody who is told, and how many messages to them stand where.

    Attributes
    ----------
    address, outcomes, include
        As the settings have them; None and nothing for somebody who is not there any more.
    """

    name: str
    address: str | None
    outcomes: tuple[str, ...]
    include: tuple[str, ...]
    num_pending: int
    num_sent: int
    num_dead: int


@dataclass(frozen=True)
class Listing:
    """Who is told of reports, and the latest messages.

    Attributes
    ----------
    receivers
        Those of the settings, then others that have messages.
    messages
        The latest first.
    """

    receivers: tuple[Receiver, ...]
    messages: tuple[NotificationRecord, ...]


@app.command("list")
def list_notifications(
    context: typer.Context,
    *,
    state: Annotated[
        NotificationState | None,
        typer.Option(case_sensitive=False, help="Only messages in this state."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many messages.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List who is told, how many messages wait, and the latest messages."""
    settings = settings_for_person(context)
    with open_index(settings) as database, database.read() as transaction:
        counts = transaction.notifications.counts()
        latest = transaction.notifications.list(state=state, limit=limit)
    receivers = _receivers(settings, counts)
    if as_json:
        write_json(Listing(receivers, latest))
        return
    write_table(
        "Receivers",
        ("Name", "Address", "Outcomes", "Included", ">Pending", ">Sent", ">Dead"),
        [
            (
                each.name,
                each.address or "not in the settings",
                ", ".join(each.outcomes),
                ", ".join(each.include),
                each.num_pending,
                each.num_sent,
                each.num_dead,
            )
            for each in receivers
        ],
    )
    write_table(
        "Messages",
        (">Job", "To", "Outcome", "State", ">Attempts", "Next attempt", "Last error"),
        [
            (
                each.job_id,
                each.receiver,
                each.outcome,
                each.state,
                each.attempts,
                each.next_attempt_at and f"{each.next_attempt_at:%Y-%m-%d %H:%M:%S} UTC",
                each.last_error,
            )
            for each in latest
        ],
    )


def _receivers(
    settings: Settings, counts: Mapping[str, Mapping[NotificationState, int]]
) -> tuple[Receiver, ...]:
    """Count for those of the settings, then for others that have messages."""
    known = {each.name: each for each in settings.notified}
    names = [*known, *(name for name in counts if name not in known)]
    return tuple(
        Receiver(
            name=name,
            address=known[name].address if name in known else None,
            outcomes=known[name].outcomes if name in known else (),
            include=known[name].include if name in known else (),
            num_pending=counted[NotificationState.PENDING],
            num_sent=counted[NotificationState.SENT],
            num_dead=counted[NotificationState.DEAD],
        )
        for name in names
        for counted in [counts.get(name, dict.fromkeys(NotificationState, 0))]
    )


@app.command()
def retry(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Only those to this receiver.")
    ] = None,
) -> None:
    """Tell again what was given up."""
    from node.engine import Queues  # noqa: PLC0415 - lists do without, and it takes a second

    settings = settings_for_person(context)
    now = datetime.now(UTC)
    with open_index(settings) as database, closing(Queues(database.engine)) as queues:
        with database.begin() as transaction:
            reopened = transaction.notifications.reopen(now=now, receiver=name)
            for each in reopened:
                queues.notify(transaction.session, each.id, opened_at=now)
        if not reopened:
            raise UsageError(f"nothing {f'to {name} ' if name else ''}was given up")
        tell_configured(database, settings, name or "all", "notifications retry")
    typer.echo(f"{len(reopened)} messages are sent again")


@app.command("test")
def try_out(context: typer.Context, name: Name) -> None:
    """Send a message that is marked as a test, about no patient."""
    from node.caller import caller_of  # noqa: PLC0415 - it takes a second to load
    from node.notifying.notice import trial  # noqa: PLC0415
    from node.notifying.notifier import send  # noqa: PLC0415

    settings = settings_for_person(context)
    receiver = next((each for each in settings.notified if each.name == name), None)
    if receiver is None:
        raise UsageError(f"{name} is told of nothing; midline notifications list shows who is")
    notice = trial(source=settings.node.ae_title, version=version("midline"), now=datetime.now(UTC))
    send(notice, receiver, caller_of(settings))
    typer.echo(f"{receiver.address} took the message")
