"""Accounts of the web page and who is signed in.

Passwords come as digests that this module does not interpret, tokens of sessions as SHA-256:
whoever reads the database can sign in with neither.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.account_tables import AccountRow, PageSessionRow
from storage.records import AccountRecord, AccountRole, SessionRecord
from storage.tables import as_record


class Accounts:
    """Accounts and sessions within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(
        self, name: str, role: AccountRole, *, password_hash: str, now: datetime
    ) -> AccountRecord | None:
        """Enter an account; None if the name is taken."""
        if self.get(name) is not None:
            return None
        row = AccountRow(
            name=name, role=role, password_hash=password_hash, created_at=now, password_set_at=now
        )
        self._session.add(row)
        self._session.flush()
        return as_record(AccountRecord, row)

    def get(self, name: str) -> AccountRecord | None:
        """Read an account by its name."""
        row = self._row(name)
        return None if row is None else as_record(AccountRecord, row)

    def list(self) -> tuple[AccountRecord, ...]:
        """List all accounts by name."""
        rows = self._session.scalars(sa.select(AccountRow).order_by(AccountRow.name))
        return tuple(as_record(AccountRecord, row) for row in rows)

    def any(self) -> bool:
        """Whether there is an account at all."""
        return bool(self._session.scalar(sa.select(sa.exists().select_from(AccountRow))))

    def password_hash(self, name: str) -> str | None:
        """Digest of a person's password; None without such an account."""
        return self._session.scalar(
            sa.select(AccountRow.password_hash).where(AccountRow.name == name)
        )

    def set_password(self, name: str, password_hash: str, *, now: datetime) -> bool:
        """Replace a password, and end what was signed in with the old one.

        Returns
        -------
        bool
            False without such an account.
        """
        row = self._row(name)
        if row is None:
            return False
        row.password_hash, row.password_set_at = password_hash, now
        self._end_all_of(row.id)
        return True

    def rehash(self, name: str, password_hash: str, *, old_hash: str) -> None:
        """Keep the same password under stronger parameters, unless it was set anew meanwhile."""
        self._session.execute(
            sa.update(AccountRow)
            .where(AccountRow.name == name, AccountRow.password_hash == old_hash)
            .values(password_hash=password_hash)
        )

    def remove(self, name: str) -> bool:
        """Remove an account and its sessions; False without such an account."""
        row = self._row(name)
        if row is None:
            return False
        self._end_all_of(row.id)
        self._session.delete(row)
        return True

    def open_session(
        self, account_id: int, *, token_sha256: str, now: datetime, expires_at: datetime
    ) -> None:
        """Note that somebody signed in; sessions that are over are forgotten."""
        self._session.execute(sa.delete(PageSessionRow).where(PageSessionRow.expires_at <= now))
        self._session.execute(
            sa.update(AccountRow).where(AccountRow.id == account_id).values(signed_in_at=now)
        )
        self._session.add(
            PageSessionRow(
                account_id=account_id,
                token_sha256=token_sha256,
                created_at=now,
                used_at=now,
                expires_at=expires_at,
            )
        )

    def session(self, token_sha256: str, *, now: datetime, idle: timedelta) -> SessionRecord | None:
        """Find who is signed in with a token.

        Parameters
        ----------
        idle
            So long without use ends a session.
        """
        query = (
            sa.select(PageSessionRow, AccountRow)
            .join(AccountRow, AccountRow.id == PageSessionRow.account_id)
            .where(
                PageSessionRow.token_sha256 == token_sha256,
                PageSessionRow.expires_at > now,
                PageSessionRow.used_at > now - idle,
            )
        )
        found = self._session.execute(query).one_or_none()
        if found is None:
            return None
        row, account = found
        return SessionRecord(as_record(AccountRecord, account), row.expires_at, row.used_at)

    def use_session(self, token_sha256: str, *, now: datetime) -> None:
        """Note that a person did something."""
        self._session.execute(
            sa.update(PageSessionRow)
            .where(PageSessionRow.token_sha256 == token_sha256)
            .values(used_at=now)
        )

    def end_session(self, token_sha256: str) -> bool:
        """Note that a person signed out; False if they were out already."""
        ended = self._session.scalar(
            sa.delete(PageSessionRow)
            .where(PageSessionRow.token_sha256 == token_sha256)
            .returning(PageSessionRow.id)
        )
        return ended is not None

    def _row(self, name: str) -> AccountRow | None:
        return self._session.scalar(sa.select(AccountRow).where(AccountRow.name == name))

    def _end_all_of(self, account_id: int) -> None:
        self._session.execute(
            sa.delete(PageSessionRow).where(PageSessionRow.account_id == account_id)
        )
