"""What is wrong with settings, in one line for a person."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

ENV_PREFIX = "MIDLINE_"
ENV_DELIMITER = "__"
SECRET_KEYS = ("database_url", "url")
UNKNOWN, MISSING = "extra_forbidden", "missing"

Location = tuple[int | str, ...]
KnownKeys = Callable[[Location], tuple[str, ...]]


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong.

    Attributes
    ----------
    source
        What it was read from: a file, or an environment variable.
    location
        Keys that lead to it; a number counts the tables of a list.
    rule
        What it breaks, and what stands there.
    kind
        Name of the rule; `UNKNOWN` and `MISSING` are told in another way.
    """

    source: str
    location: Location
    rule: str
    kind: str

    @property
    def key(self) -> str:
        """The keys as one text."""
        return ".".join(map(str, self.location)) or "settings"

    @property
    def is_of_environment(self) -> bool:
        """Whether a variable is at fault, and not the file."""
        return self.source.startswith("environment ")

    def __str__(self) -> str:
        """Say where it is, and what."""
        where = self.source if self.is_of_environment else f"{self.source}: {self.key}"
        return f"{where}: {self.rule}"


def first_fault(error: ValidationError, origin: str, *, known_keys: KnownKeys) -> str:
    """Say in one line what is wrong first: where, which rule, and the known keys if it helps.

    Parameters
    ----------
    error
        Of the settings.
    origin
        What they were read from.
    known_keys
        Lists the keys that exist where an unknown one was found.
    """
    fault = faults_of(error, origin)[0]
    if fault.kind == UNKNOWN:
        return f"{fault}; known are {', '.join(known_keys(fault.location))}"
    return str(fault)


def faults_of(error: ValidationError, origin: str) -> tuple[Fault, ...]:
    """List what is wrong, without repeating secrets.

    An unknown key goes before a missing one, which it probably was meant to be.
    """
    found = [_fault(each, origin) for each in error.errors(include_url=False)]
    return tuple(sorted(found, key=lambda fault: fault.kind != UNKNOWN))


def _fault(error: "ErrorDetails", origin: str) -> Fault:
    location, kind = error["loc"], error["type"]
    variable = ENV_PREFIX + ENV_DELIMITER.join(str(part) for part in location).upper()
    source = f"environment {variable}" if variable in os.environ else origin
    return Fault(source, location, _rule(kind, location, error), kind)


def _rule(kind: str, location: Sequence[int | str], error: "ErrorDetails") -> str:
    if kind == UNKNOWN:
        return "unknown key"
    rule = error["msg"].removeprefix("Value error, ")
    rule = rule[:1].lower() + rule[1:]
    value: Any = error["input"]
    is_told = kind != MISSING and not (location and location[-1] in SECRET_KEYS)
    is_plain = isinstance(value, str | int | float | bool)
    return f"{rule}, not {value!r}" if is_told and is_plain else rule
