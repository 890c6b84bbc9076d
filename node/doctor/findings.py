"""What a check may find, declared once: the same words in the terminal and in docs/doctor.md."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from config.settings import Settings


class Level(StrEnum):
    """How bad it is."""

    OK = "OK"
    """In order."""
    WARNING = "WARNING"
    """The node runs; somebody should look before it gets worse."""
    FAULT = "FAULT"
    """The node does not start, or does not do its work."""


@dataclass(frozen=True)
class Finding:
    """What one look came to.

    Attributes
    ----------
    check
        Name of the check.
    name
        Of what was found, ``check.what``; the check's own if all is in order.
    level
        How bad it is.
    message
        What is so, in one line.
    mend
        What to do about it, in one line; empty if nothing is to be done.
    """

    check: str
    name: str
    level: Level
    message: str
    mend: str = ""


@dataclass(frozen=True)
class Ailment:
    """Something that may be wrong.

    Attributes
    ----------
    name
        ``check.what``.
    level
        How bad it is.
    message, mend
        What is said of it; facts stand in braces.
    """

    name: str
    level: Level
    message: str
    mend: str

    def found(self, **facts: object) -> Finding:
        """Say that it is so here."""
        check = self.name.partition(".")[0]
        message, mend = (text.format(**facts) for text in (self.message, self.mend))
        return Finding(check, self.name, self.level, message, mend)


@dataclass(frozen=True)
class Check:
    """Something that is looked at.

    Attributes
    ----------
    name
        In one word.
    about
        What is looked at, for a person.
    ailments
        All that it may find.
    look
        Looks, and changes nothing but a file that it removes again.
    """

    name: str
    about: str
    ailments: tuple[Ailment, ...]
    look: Callable[[Settings], Iterable[Finding]]

    def well(self, message: str) -> Finding:
        """Say that all is in order."""
        return Finding(self.name, self.name, Level.OK, message)
