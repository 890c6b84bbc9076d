"""People who may use the web page."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class AccountRole(StrEnum):
    """What a person may do on the page."""

    VIEWER = "VIEWER"
    """See everything, and change nothing."""
    OPERATOR = "OPERATOR"
    """Also retry, cancel, put first and readmit."""


@dataclass(frozen=True)
class AccountRecord:
    """A person's account; the digest of the password never leaves by a record.

    Attributes
    ----------
    password_set_at
        When the password was last set.
    signed_in_at
        The last time; None before the first.
    """

    id: int
    name: str
    role: AccountRole
    created_at: datetime
    password_set_at: datetime
    signed_in_at: datetime | None


@dataclass(frozen=True)
class SessionRecord:
    """A person who is signed in.

    Attributes
    ----------
    expires_at
        When they have to sign in again, whatever they do.
    used_at
        When they last did something; what a page asks by itself does not count.
    """

    account: AccountRecord
    expires_at: datetime
    used_at: datetime
