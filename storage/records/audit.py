"""The audit trail as storage keeps it: messages in a chain, and its head."""

from dataclasses import dataclass
from datetime import datetime

NO_MESSAGE = "0" * 64
"""Stands for the digest before the first message."""


@dataclass(frozen=True)
class AuditRecord:
    """One message of the audit trail, chained to the one before it.

    Attributes
    ----------
    event
        Code of its kind, to be looked for.
    outcome
        0, 4, 8 or 12 (PS3.15 A.5.2).
    message_json
        The message; storage does not read it.
    previous_sha256, sha256
        Digest of the message before, and of this one with it.
    forwarded_at
        When an audit record repository had it; None if that is still to be done.
    """

    id: int
    recorded_at: datetime
    event: str
    outcome: int
    message_json: str
    previous_sha256: str
    sha256: str
    forwarded_at: datetime | None


@dataclass(frozen=True)
class AuditHead:
    """How long the trail is, and the digest of its last message: what must never be less.

    Whoever wrote it down elsewhere can tell later that the end was cut off.
    """

    num_messages: int
    sha256: str


@dataclass(frozen=True)
class AuditFault:
    """Where the trail is not what was written.

    Attributes
    ----------
    message_id
        Number of the first message that does not fit the one before it, or its own digest.
    reason
        In words for the administrator.
    """

    message_id: int
    reason: str
