"""Passwords of the page's accounts: what is good enough, and Argon2id digests (RFC 9106)."""

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from config.errors import UsageError

MOST_NAME_CHARS = 64
LEAST_CHARS, MOST_CHARS = 12, 256
HASHER = PasswordHasher()
"""The second recommendation of RFC 9106: 64 MiB, three passes."""


def check_name(name: str) -> None:
    """Refuse a name that could be mistaken, or that a log could not hold.

    Raises
    ------
    UsageError
        If it has other characters than letters, digits and ``._@-``, or too many.
    """
    if not (0 < len(name) <= MOST_NAME_CHARS) or not all(
        c.isascii() and (c.isalnum() or c in "._@-") for c in name
    ):
        raise UsageError(
            f"the name of an account is 1 to {MOST_NAME_CHARS} letters, digits and . _ @ -"
        )


def check_password(password: str, *, name: str) -> None:
    """Refuse a password that is easily guessed; which characters it has is nobody's concern.

    Raises
    ------
    UsageError
        If it is too short or too long, holds the name, or repeats a few characters.
    """
    if not LEAST_CHARS <= len(password) <= MOST_CHARS:
        raise UsageError(f"a password has {LEAST_CHARS} to {MOST_CHARS} characters; take a phrase")
    if name.lower() in password.lower():
        raise UsageError("a password must not hold the name of its account")
    if len(set(password)) < LEAST_CHARS // 3:
        raise UsageError("a password must not repeat the same few characters")


def digest(password: str) -> str:
    """Make the digest that is kept, with a salt of its own."""
    return HASHER.hash(password)


def is_right(password: str, password_hash: str | None) -> bool:
    """Whether a password is that of a digest; it takes as long without an account."""
    try:
        return HASHER.verify(password_hash or _nobodys(), password) and password_hash is not None
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(password_hash: str) -> bool:
    """Whether a digest was made with other parameters than today's."""
    return HASHER.check_needs_rehash(password_hash)


@cache
def _nobodys() -> str:
    return digest("the password of nobody")
