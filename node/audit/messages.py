"""Messages of the audit trail as frozen values, and as the JSON text that is kept."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from node.audit.codes import Action, Event, EventType, Kind, Outcome, Role

NEVER = datetime.min.replace(tzinfo=UTC)
VERSION = 1
"""Of the JSON; read forms of earlier versions here when there is a second one."""


@dataclass(frozen=True)
class Participant:
    """Somebody who took part: a person, a process, or an application entity.

    Attributes
    ----------
    user_id
        Number of a process with its host, name of a person at the operating system, or AE title.
    is_requestor
        Whether it began what happened; at most one participant did.
    role
        Its part, if the kind of message names one.
    ae_title
        Of an application entity, and of the node's own processes.
    alternative_id
        As whom a person came first (``sudo``).
    address
        IP address or host name.
    """

    user_id: str
    is_requestor: bool = False
    role: Role | None = None
    ae_title: str = ""
    alternative_id: str = ""
    address: str = ""


NODE = Participant("")
"""Stands for the process that writes the message, until `node.audit.trail` names it."""


@dataclass(frozen=True)
class AuditObject:
    """What it was done to.

    Attributes
    ----------
    kind, identifier
        What it is named by, and its name.
    number
        The index's number, if it has one: all that a log may say of it.
    instances
        How many instances of each SOP class.
    detail
        In our own words.
    query
        Encoded identifier of a query.
    """

    kind: Kind
    identifier: str
    number: int | None = None
    instances: tuple[tuple[str, int], ...] = ()
    detail: str = ""
    query: bytes = b""

    @property
    def num_instances(self) -> int:
        """How many instances in all."""
        return sum(count for _, count in self.instances)


@dataclass(frozen=True)
class Message:
    """One message (PS3.15 A.5.2).

    Attributes
    ----------
    description
        How it came to the outcome, in our own words; no patient data.
    moment, source_id
        When it happened, and which installation says so; set by `node.audit.trail`.
    """

    event: Event
    action: Action
    participants: tuple[Participant, ...]
    objects: tuple[AuditObject, ...] = ()
    event_type: EventType | None = None
    outcome: Outcome = Outcome.SUCCESS
    description: str = ""
    moment: datetime = NEVER
    source_id: str = ""


def as_json(message: Message) -> str:
    """Write a message as canonical JSON: what its digest is made over."""
    return json.dumps(
        {
            "version": VERSION,
            "event": message.event.name,
            "event_type": None if message.event_type is None else message.event_type.name,
            "action": message.action.value,
            "outcome": int(message.outcome),
            "description": message.description,
            "moment": message.moment.astimezone(UTC).isoformat(),
            "source_id": message.source_id,
            "participants": [
                {
                    "user_id": each.user_id,
                    "is_requestor": each.is_requestor,
                    "role": None if each.role is None else each.role.name,
                    "ae_title": each.ae_title,
                    "alternative_id": each.alternative_id,
                    "address": each.address,
                }
                for each in message.participants
            ],
            "objects": [
                {
                    "kind": each.kind.name,
                    "identifier": each.identifier,
                    "number": each.number,
                    "instances": [list(pair) for pair in each.instances],
                    "detail": each.detail,
                    "query": each.query.hex(),
                }
                for each in message.objects
            ],
        },
        sort_keys=True,
        separators=(",", ":"),
    )


def from_json(text: str) -> Message:
    """Read a message back.

    Raises
    ------
    ValueError
        If it is none that this version knows.
    """
    try:
        held = json.loads(text)
        if held["version"] != VERSION:
            raise ValueError("a message of the audit trail is of a later version")
        return Message(
            event=Event[held["event"]],
            event_type=EventType[held["event_type"]] if held["event_type"] else None,
            action=Action(held["action"]),
            outcome=Outcome(held["outcome"]),
            description=held["description"],
            moment=datetime.fromisoformat(held["moment"]),
            source_id=held["source_id"],
            participants=tuple(
                Participant(**{**each, "role": Role[each["role"]] if each["role"] else None})
                for each in held["participants"]
            ),
            objects=tuple(
                AuditObject(
                    kind=Kind[each["kind"]],
                    identifier=each["identifier"],
                    number=each["number"],
                    instances=tuple((uid, count) for uid, count in each["instances"]),
                    detail=each["detail"],
                    query=bytes.fromhex(each["query"]),
                )
                for each in held["objects"]
            ),
        )
    except (KeyError, TypeError) as error:
        raise ValueError("a message of the audit trail cannot be read") from error
