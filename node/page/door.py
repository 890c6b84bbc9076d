"""Who may come in: signing in and out, sessions, and how often somebody may be wrong.

A session is a random token in a cookie; the index holds its digest. Tokens of forms are made of the
cookie's, so a form that came from elsewhere has none.
"""

import hashlib
import hmac
import secrets
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from config.settings import PageSettings
from node.audit import events
from node.audit.messages import Participant
from node.audit.trail import Write
from node.page import passwords
from storage.database import Database
from storage.records import AccountRecord

WINDOW = timedelta(minutes=15)
"""So long a wrong password counts."""
MOST_REMEMBERED = 10_000
"""Accounts and addresses whose wrong passwords are counted."""
MOST_AT_ONCE = 2
"""Passwords that are tried at the same time: each takes 64 MiB."""
USE_NOTED_EVERY = timedelta(minutes=1)
TOKEN_BYTES = 32

WRONG = "Name or password is wrong."
TOO_MANY = "Too many wrong passwords. Try again in 15 minutes."


@dataclass(frozen=True)
class Visitor:
    """Somebody who is signed in.

    Attributes
    ----------
    account
        Who it is.
    token
        Of their session; never shown.
    address
        Where they are.
    """

    account: AccountRecord
    token: str
    address: str

    @property
    def person(self) -> Participant:
        """Name them for the audit trail."""
        return Participant(self.account.name, address=self.address)

    @property
    def form_token(self) -> str:
        """What their forms carry."""
        return form_token_of(self.token)


class Refused(Exception):  # noqa: N818 - it is no fault
    """Somebody could not sign in; the text is for them."""


class Attempts:
    """Wrong passwords of the last minutes, by account and by address."""

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, threading.Lock()
        self._failures: dict[str, deque[datetime]] = {}

    def are_too_many(self, *keys: str, now: datetime) -> bool:
        """Whether one of these was wrong too often."""
        with self._lock:
            return any(len(self._recent(key, now)) >= self._most for key in keys)

    def note(self, *keys: str, now: datetime) -> None:
        """Note a wrong password of each of these."""
        with self._lock:
            if len(self._failures) >= MOST_REMEMBERED:
                self._failures = {k: held for k in self._failures if (held := self._recent(k, now))}
            for key in keys:
                # whoever guesses names by the thousand is stopped by their address
                if key in self._failures or len(self._failures) < MOST_REMEMBERED:
                    self._failures.setdefault(key, deque(maxlen=self._most)).append(now)

    def forgive(self, account: str, address: str) -> None:
        """Take back a note of an account, with all before it, and of an address that one alone."""
        with self._lock:
            self._failures.pop(account, None)
            failures = self._failures.get(address)
            if failures:
                failures.pop()

    def _recent(self, key: str, now: datetime) -> deque[datetime]:
        failures = self._failures.get(key, deque())
        while failures and failures[0] <= now - WINDOW:
            failures.popleft()
        return failures


class Door:
    """Lets people in, and knows who is in.

    Parameters
    ----------
    database
        Has the accounts and sessions.
    settings
        For how long, and how often.
    audit
        Is told who came, who could not, and who left.
    clock
        The time.
    """

    def __init__(
        self,
        database: Database,
        settings: PageSettings,
        audit: Write,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database, self._settings, self._audit = database, settings, audit
        self._clock = clock
        self._attempts = Attempts(settings.sign_in_attempts)
        self._at_once = threading.BoundedSemaphore(MOST_AT_ONCE)

    def sign_in(self, name: str, password: str, *, address: str) -> str:
        """Let somebody in.

        Returns
        -------
        str
            Token of the session, for a cookie.

        Raises
        ------
        Refused
            If name or password are wrong, or were too often.
        """
        now = self._clock()
        keys = (f"account {name[: passwords.MOST_NAME_CHARS]}", f"address {address}")
        person = Participant(_printable(name), address=address)
        if self._attempts.are_too_many(*keys, now=now):
            raise Refused(TOO_MANY)
        # counted before it is tried, so that nobody tries many at the same moment
        self._attempts.note(*keys, now=now)
        account = self._account(name, password)
        if account is None:
            is_last = self._attempts.are_too_many(*keys, now=now)
            further = "; no further one is tried for 15 minutes" if is_last else ""
            self._audit(events.signed_in(person, problem=f"wrong name or password{further}"))
            raise Refused(WRONG)
        self._attempts.forgive(*keys)
        token = new_token()
        with self._database.begin() as transaction:
            transaction.accounts.open_session(
                account.id,
                token_sha256=_sha256(token),
                now=now,
                expires_at=now + timedelta(hours=self._settings.session_hours),
            )
        self._audit(events.signed_in(person))
        return token

    def visitor(self, token: str, *, address: str, by_hand: bool) -> Visitor | None:
        """Find who holds a token; None if nobody does any more.

        Parameters
        ----------
        by_hand
            Whether a person did something, and not the page by itself.
        """
        now, digest = self._clock(), _sha256(token)
        with self._database.read() as transaction:
            session = transaction.accounts.session(
                digest, now=now, idle=timedelta(minutes=self._settings.idle_minutes)
            )
        if session is None:
            return None
        if by_hand and now - session.used_at > USE_NOTED_EVERY:
            with self._database.begin() as transaction:
                transaction.accounts.use_session(digest, now=now)
        return Visitor(session.account, token, address)

    def sign_out(self, visitor: Visitor) -> None:
        """End a session."""
        with self._database.begin() as transaction:
            ended = transaction.accounts.end_session(_sha256(visitor.token))
        if ended:
            self._audit(events.signed_out(visitor.person))

    def _account(self, name: str, password: str) -> AccountRecord | None:
        """Find the account whose password this is."""
        with self._database.read() as transaction:
            account = transaction.accounts.get(name)
            held = transaction.accounts.password_hash(name)
        with self._at_once:
            if not passwords.is_right(password, held) or held is None:
                return None
            renewed = passwords.digest(password) if passwords.is_outdated(held) else None
        if renewed is not None:
            with self._database.begin() as transaction:
                transaction.accounts.rehash(name, renewed, old_hash=held)
        return account


def new_token() -> str:
    """Make a token that nobody guesses."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def form_token_of(token: str) -> str:
    """Make the token of forms for whoever holds a cookie's."""
    return hmac.new(token.encode(), b"form", hashlib.sha256).hexdigest()


def is_form_token(given: str, token: str) -> bool:
    """Whether a form was given to the holder of a cookie."""
    return hmac.compare_digest(given.encode(), form_token_of(token).encode())


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _printable(name: str) -> str:
    """Cut a name that somebody gave to what the trail may hold."""
    return "".join(c for c in name[: passwords.MOST_NAME_CHARS] if c.isprintable()) or "unnamed"
