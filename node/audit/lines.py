"""A message as one line for a log system: the index's numbers, no UID and nothing of a patient."""

from datetime import UTC

from node.audit.codes import Kind, Role
from node.audit.messages import AuditObject, Message, Participant

PARTS = {
    Role.SOURCE: "from",
    Role.DESTINATION: "to",
    Role.APPLICATION: "by",
    Role.LAUNCHER: "launched-by",
}


def as_line(message: Message) -> str:
    """Write a message as ``time code "kind" key=value …``."""
    event = message.event.value
    words = [
        message.moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        event.value,
        f'"{event.meaning}"',
        f"outcome={int(message.outcome)}",
        f"action={message.action}",
    ]
    if message.event_type is not None:
        words.append(f'type="{message.event_type.value.meaning}"')
    words += [_of_participant(each) for each in message.participants]
    words += [word for each in message.objects for word in _of_object(each)]
    if message.description:
        words.append(f'said="{_quotable(message.description)}"')
    return " ".join(words)


def _of_participant(participant: Participant) -> str:
    part = "by" if participant.role is None else PARTS[participant.role]
    where = f"@{participant.address}" if participant.address else ""
    name = participant.ae_title or participant.user_id
    return f'{part}="{_quotable(name)}{_quotable(where)}"'


def _of_object(each: AuditObject) -> list[str]:
    """Name what has a number; a patient has none, and a UID leads to one."""
    if each.kind is not Kind.STUDY:
        return []
    words = [f"study={each.number}"]
    if each.num_instances:
        words.append(f"instances={each.num_instances}")
    return words


def _quotable(text: str) -> str:
    return "".join(c if c.isprintable() and c != '"' else "?" for c in text)
