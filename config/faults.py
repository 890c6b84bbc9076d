"""What is wrong with settings, in one line for a person."""

import os
from collections.abc import Callable

from pydantic import ValidationError

ENV_PREFIX = "MIDLINE_"
ENV_DELIMITER = "__"
SECRET_KEYS = ("database_url", "url")

KnownKeys = Callable[[tuple[int | str, ...]], tuple[str, ...]]


def first_fault(error: ValidationError, origin: str, *, known_keys: KnownKeys) -> str:
    """Say in one line what is wrong first: where, which rule, and the known keys if it helps.

    An unknown key goes before a missing one, which it probably was meant to be. Secrets are not
    repeated.

    Parameters
    ----------
    error
        Of the settings.
    origin
        What they were read from.
    known_keys
        Lists the keys that exist where an unknown one was found.
    """
    faults = error.errors(include_url=False)
    unknown = (fault for fault in faults if fault["type"] == "extra_forbidden")
    fault = next(unknown, faults[0])
    location = fault["loc"]
    key = ".".join(str(part) for part in location) or "settings"
    variable = ENV_PREFIX + ENV_DELIMITER.join(str(part) for part in location).upper()
    source = f"environment {variable}" if variable in os.environ else f"{origin}: {key}"
    if fault["type"] == "extra_forbidden":
        return f"{source}: unknown key; known are {', '.join(known_keys(location))}"
    rule = fault["msg"].removeprefix("Value error, ")
    rule = rule[:1].lower() + rule[1:]
    if fault["type"] == "missing" or (location and location[-1] in SECRET_KEYS):
        return f"{source}: {rule}"
    value = fault["input"]
    is_plain = isinstance(value, str | int | float | bool)
    return f"{source}: {rule}, not {value!r}" if is_plain else f"{source}: {rule}"
