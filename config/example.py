"""The example of a settings file: every setting with its sentence and its default."""

import json
import textwrap
from collections.abc import Iterator, Mapping

from config.catalogue import Setting, Table, grouped, tables_of
from config.settings import Settings

WIDTH = 98
HEAD = (
    "# Every setting with its default. Copy what the site changes into a file of its own, and start"
    " with\n# --config FILE. An environment variable MIDLINE_SECTION__KEY goes before the file.\n"
    "# This file is made by midline config example."
)


def example_file() -> str:
    """Write the example: what stands behind a # alone is not the default but could be set."""
    parts = [HEAD, *("\n".join(_lines(table)) for table in tables_of(Settings))]
    return "\n\n".join(parts) + "\n"


def _lines(table: Table) -> Iterator[str]:
    off = "#" if table.is_optional else ""
    yield from _comment(table.sentence)
    yield f"{off}{table.header}"
    for setting in table.settings:
        yield from _comment(setting.sentence)
        yield f"{off or _off(setting)}{setting.name} = {shown_value(setting)}"


def _off(setting: Setting) -> str:
    return "" if setting.example is None else "#"


def shown_value(setting: Setting) -> str:
    """Write what the example gives a setting, as TOML.

    Raises
    ------
    ValueError
        If a setting without a default has no example: its section lacks it.
    """
    value = setting.default if setting.example is None else setting.example
    if value is None:
        raise ValueError(f"{setting.key} has neither a default nor an example")
    return as_toml(value)


def as_toml(value: object) -> str:
    """Write a value of a setting as TOML does."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return grouped(value)
        case float():
            return repr(value)
        case Mapping():
            inner = ", ".join(f"{key} = {as_toml(each)}" for key, each in value.items())
            return f"{{ {inner} }}" if inner else "{}"
        case list() | tuple():
            return f"[{', '.join(map(as_toml, value))}]"
        case _:
            return json.dumps(str(value), ensure_ascii=False)


def _comment(text: str) -> Iterator[str]:
    for line in textwrap.wrap(text, WIDTH):
        yield f"# {line}"
