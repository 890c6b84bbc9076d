"""Tables of those who use the web page, private to `storage.accounts`."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from storage.records import AccountRole
from storage.tables import AUTOINCREMENT, Base, Key, Name, Sha256


class AccountRow(Base):
    """A person who may use the web page."""

    __tablename__ = "account"
    __table_args__ = (AUTOINCREMENT,)

    id: Mapped[Key]
    name: Mapped[Name] = mapped_column(unique=True)
    role: Mapped[AccountRole] = mapped_column(
        sa.Enum(AccountRole, native_enum=False, length=16, create_constraint=True, name="role")
    )
    password_hash: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]
    password_set_at: Mapped[datetime]
    signed_in_at: Mapped[datetime | None]


class PageSessionRow(Base):
    """A person who is signed in; who reads it cannot sign in with it."""

    __tablename__ = "page_session"
    __table_args__ = (AUTOINCREMENT,)

    id: Mapped[Key]
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    token_sha256: Mapped[Sha256] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    used_at: Mapped[datetime]
    expires_at: Mapped[datetime]
