"""Whether settings are in order: every fault with its place in the file, and how it is mended."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from pydantic import ValidationError

from config.catalogue import Setting, settings_of
from config.errors import SettingsError
from config.example import shown_value
from config.faults import MISSING, UNKNOWN, Fault, Location, faults_of
from config.settings import Settings, known_keys, read_tables, settings_from

HEADER = re.compile(r"\s*(\[\[?)\s*([A-Za-z0-9_.-]+)\s*\]\]?")
KEY = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=")


@dataclass(frozen=True)
class Complaint:
    """One fault as it is shown.

    Attributes
    ----------
    place
        File and line, or the variable.
    fault
        What is wrong there.
    mend
        What to do about it.
    """

    place: str
    fault: str
    mend: str

    def __str__(self) -> str:
        """All of it in one line."""
        return f"{self.place}: {self.fault}" + (f"; {self.mend}" if self.mend else "")


def check(path: Path | None) -> tuple[Complaint, ...]:
    """List what is wrong with a settings file and the environment; nothing if they can be used."""
    origin = "settings" if path is None else str(path)
    try:
        settings_from({} if path is None else read_tables(path))
    except SettingsError as error:
        # an environment or a file that cannot be read as such: one line says all of it
        place, _, said = str(error).partition(": ")
        return (Complaint(place, said, ""),)
    except ValidationError as error:
        text = "" if path is None else path.read_text(encoding="utf-8")
        return tuple(_complaint(fault, text) for fault in faults_of(error, origin))
    return ()


def _complaint(fault: Fault, text: str) -> Complaint:
    place = fault.source
    if not fault.is_of_environment:
        line = line_of(text, fault.location)
        place = f"{place}:{line}" if line else place
    return Complaint(place, f"{fault.key}: {fault.rule}", mend_of(fault))


def mend_of(fault: Fault) -> str:
    """Say what to do about a fault; nothing where the rule says it."""
    if fault.kind == UNKNOWN:
        known = known_keys(fault.location)
        close = get_close_matches(str(fault.location[-1]), known, n=1)
        return f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
    setting = setting_at(fault.location)
    if setting is None:
        return ""
    if fault.kind == MISSING:
        return f"add {setting.name} = {shown_value(setting)}"
    return f"it takes {setting.values}"


def setting_at(location: Location) -> Setting | None:
    """Find the setting that a fault is about; None if it is about a table as a whole."""
    names = [part for part in location if isinstance(part, str)]
    by_key: Mapping[str, Setting] = {each.key: each for each in settings_of(Settings)}
    keys = (".".join(names[:end]) for end in range(len(names), 0, -1))
    return next((by_key[key] for key in keys if key in by_key), None)


def line_of(text: str, location: Location) -> int | None:
    """Find the line of a key, or else that of its table; None if it cannot be told.

    A table within another belongs to the last one above it, as TOML has it.
    """
    counts: dict[str, int] = {}
    at: list[int | str] = []
    best, best_length = None, 0
    for number, line in enumerate(text.splitlines(), start=1):
        found: list[int | str] = []
        header, key = HEADER.match(line), KEY.match(line)
        if header is not None:
            at = _location_of(header[2], is_list=header[1] == "[[", counts=counts)
            found = at
        elif key is not None:
            found = [*at, key[1]]
        length = len(found)
        if best_length < length <= len(location) and tuple(found) == location[:length]:
            best, best_length = number, length
    return best


def _location_of(name: str, *, is_list: bool, counts: dict[str, int]) -> list[int | str]:
    """Turn the name of a table into the keys that lead to it, with numbers for those of lists."""
    if is_list:
        counts[name] = counts.get(name, -1) + 1
    location: list[int | str] = []
    parts = name.split(".")
    for end, part in enumerate(parts, start=1):
        location.append(part)
        prefix = ".".join(parts[:end])
        if prefix in counts:
            location.append(counts[prefix])
    return location
