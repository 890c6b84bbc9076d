"""Where each setting comes from that is in force: the defaults, the file or the environment."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic_settings import EnvSettingsSource

from config.catalogue import Setting, settings_of
from config.sections.base import Section
from config.settings import Settings, load_settings, read_tables

HIDDEN = "(set, not shown)"


class Origin(StrEnum):
    """Where a value comes from; each goes before the one above it."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"


@dataclass(frozen=True)
class Effective:
    """A setting that is in force.

    Attributes
    ----------
    key
        Its keys; a number counts the tables of a list.
    value
        What holds; `HIDDEN` for a secret that is set.
    origin
        Who says so.
    setting
        What it is.
    """

    key: str
    value: object
    origin: Origin
    setting: Setting


def effective(path: Path | None) -> tuple[Effective, ...]:
    """List the settings that are in force, those of tables that the site added included.

    Raises
    ------
    SettingsError
        If they cannot be used; `config.checking.check` says more.
    """
    settings = load_settings(path)
    given = {
        Origin.ENVIRONMENT: EnvSettingsSource(Settings)(),
        Origin.FILE: {} if path is None else read_tables(path),
    }
    known = {setting.key: setting for setting in settings_of(Settings)}
    found = []
    for location, value in _values(settings):
        setting = known[".".join(part for part in location if isinstance(part, str))]
        origin = next((o for o, tables in given.items() if _has(tables, location)), Origin.DEFAULT)
        shown = HIDDEN if setting.is_secret and value is not None else value
        found.append(Effective(".".join(map(str, location)), shown, origin, setting))
    return tuple(found)


def _values(settings: Settings) -> Iterator[tuple[tuple[int | str, ...], object]]:
    """List every value with the keys that lead to it."""
    for name in Settings.model_fields:
        yield from _within(getattr(settings, name), (name,))


def _within(
    value: object, location: tuple[int | str, ...]
) -> Iterator[tuple[tuple[int | str, ...], object]]:
    if isinstance(value, Section):
        for name, field in type(value).model_fields.items():
            inner = getattr(value, name)
            if inner is not None or not _is_table(field.annotation):
                yield from _within(inner, (*location, name))
    elif isinstance(value, tuple) and (len(location) == 1 or any(map(_is_section, value))):
        for number, each in enumerate(value):
            yield from _within(each, (*location, number))
    else:
        yield location, value


def _is_section(value: object) -> bool:
    return isinstance(value, Section)


def _is_table(annotation: Any) -> bool:
    """Whether a setting is a table of its own, or none."""
    kinds: Sequence[object] = getattr(annotation, "__args__", ())
    return any(isinstance(kind, type) and issubclass(kind, Section) for kind in kinds)


def _has(tables: Any, location: tuple[int | str, ...]) -> bool:
    """Whether somebody who gives some settings gives this one."""
    for part in location:
        if isinstance(tables, Mapping):
            is_there = part in tables
        else:
            is_there = isinstance(part, int) and part < len(tables)
        if not is_there:
            return False
        tables = tables[part]
    return True
