"""Accounts of the page, and who is signed in."""

from datetime import UTC, datetime, timedelta

from storage.database import Database
from storage.records import AccountRole

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
IDLE = timedelta(hours=1)
DIGEST, OTHER = "digest", "other"


def sign_in(database: Database, name: str = "vera", token: str = "t" * 64) -> None:
    with database.begin() as transaction:
        account = transaction.accounts.add(name, AccountRole.VIEWER, password_hash=DIGEST, now=NOW)
        assert account is not None
        transaction.accounts.open_session(
            account.id, token_sha256=token, now=NOW, expires_at=NOW + timedelta(hours=12)
        )


def is_in(database: Database, now: datetime, token: str = "t" * 64) -> bool:
    with database.read() as transaction:
        return transaction.accounts.session(token, now=now, idle=IDLE) is not None


def test_a_name_is_given_once(database: Database) -> None:
    sign_in(database)
    with database.begin() as transaction:
        again = transaction.accounts.add("vera", AccountRole.OPERATOR, password_hash=OTHER, now=NOW)
        assert again is None
        assert transaction.accounts.password_hash("vera") == "digest"


def test_no_record_holds_the_digest_of_a_password(database: Database) -> None:
    sign_in(database)
    with database.read() as transaction:
        assert "digest" not in repr(transaction.accounts.list())


def test_a_session_ends_after_its_time_and_without_use(database: Database) -> None:
    sign_in(database)
    assert is_in(database, NOW + timedelta(minutes=59))
    assert not is_in(database, NOW + timedelta(minutes=61))
    with database.begin() as transaction:
        transaction.accounts.use_session("t" * 64, now=NOW + timedelta(hours=11, minutes=30))
    assert is_in(database, NOW + timedelta(hours=11, minutes=59))
    assert not is_in(database, NOW + timedelta(hours=12, minutes=1))


def test_a_new_password_ends_what_was_signed_in_with_the_old_one(database: Database) -> None:
    sign_in(database)
    with database.begin() as transaction:
        assert transaction.accounts.set_password("vera", "new", now=NOW)
        assert not transaction.accounts.set_password("nobody", "new", now=NOW)
    assert not is_in(database, NOW)


def test_who_is_removed_is_signed_out(database: Database) -> None:
    sign_in(database)
    with database.begin() as transaction:
        assert transaction.accounts.remove("vera")
        assert not transaction.accounts.remove("vera")
        assert not transaction.accounts.any()
    assert not is_in(database, NOW)


def test_who_signs_out_is_out_and_others_stay(database: Database) -> None:
    sign_in(database)
    sign_in(database, "otto", "o" * 64)
    with database.begin() as transaction:
        assert transaction.accounts.end_session("t" * 64)
        assert not transaction.accounts.end_session("t" * 64)
    assert not is_in(database, NOW)
    assert is_in(database, NOW, "o" * 64)


def test_a_stronger_digest_does_not_undo_a_new_password(database: Database) -> None:
    sign_in(database)
    with database.begin() as transaction:
        transaction.accounts.set_password("vera", "new", now=NOW)
        transaction.accounts.rehash("vera", "stronger", old_hash="digest")
        assert transaction.accounts.password_hash("vera") == "new"
        transaction.accounts.rehash("vera", "stronger", old_hash="new")
        assert transaction.accounts.password_hash("vera") == "stronger"
