"""What a password must be, and that its digest tells nothing."""

import pytest

from config.errors import UsageError
from node.page import passwords

GOOD = "a quiet afternoon in may"


def test_a_digest_is_argon2id_with_a_salt_of_its_own() -> None:
    one, two = passwords.digest(GOOD), passwords.digest(GOOD)
    assert one.startswith("$argon2id$")
    assert one != two
    assert passwords.is_right(GOOD, one)
    assert not passwords.is_right(GOOD + " ", one)
    assert not passwords.is_outdated(one)


def test_without_an_account_every_password_is_wrong() -> None:
    assert not passwords.is_right("the password of nobody", None)
    assert not passwords.is_right(GOOD, "no digest")


@pytest.mark.parametrize(
    "password", ["short", "x" * 257, "abababababababab", "vera likes herons", "VERA likes herons"]
)
def test_what_is_easily_guessed_is_refused(password: str) -> None:
    with pytest.raises(UsageError):
        passwords.check_password(password, name="vera")


def test_a_phrase_is_taken() -> None:
    passwords.check_password(GOOD, name="vera")


@pytest.mark.parametrize("name", ["", "a b", "é", "x" * 65, "a\n"])
def test_a_name_that_no_log_could_hold_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        passwords.check_name(name)
    passwords.check_name("vera.smith@clinic-1")
