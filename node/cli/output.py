"""What commands write: tables and JSON on standard output, progress on standard error."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

WIDTH_OF_A_FILE = 160
"""Columns of a table that goes into a file or a pipe."""

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON instead of a table.")]


def write_json(value: object) -> None:
    """Write a value as JSON; records as objects, dates in ISO 8601."""
    typer.echo(json.dumps(value, indent=2, default=_plain))


def as_dict(record: "DataclassInstance", *without: str) -> dict[str, Any]:
    """Turn a record into what JSON can hold, without some of its fields."""
    return {key: value for key, value in asdict(record).items() if key not in without}


def as_plain(value: object) -> Any:
    """Turn a value into what `write_json` writes."""
    return json.loads(json.dumps(value, default=_plain))


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def write_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table, as `table_of` makes it; a title alone if it has no rows."""
    show_table(table_of(title, columns, rows))


def show_table(table: Table) -> None:
    """Write a table that was made before; its title alone if it has no rows."""
    console().print(table if table.row_count else f"{table.title}: none")


def table_of(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Make a table.

    Parameters
    ----------
    title
        Above the table.
    columns
        Headings; one that starts with ``>`` is set to the right.
    rows
        One value for each column; None is written as nothing.
    """
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(
            column.removeprefix(">"),
            justify="right" if column.startswith(">") else "left",
            overflow="fold",
        )
    for row in rows:
        table.add_row(*map(_cell, row))
    return table


def write_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Write names and values, one pair in a line; those without a value are left out."""
    table = Table.grid(padding=(0, 2))
    for name, value in facts:
        if value is not None:
            table.add_row(name, _cell(value))
    console().print(table)


def moment_in_words(moment: datetime | None) -> str:
    """Write a time to the second, in UTC; nothing for None."""
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def age(moment: datetime | None, *, now: datetime) -> str:
    """Say how long ago something was, in one unit."""
    return "" if moment is None else duration((now - moment).total_seconds())


def duration(seconds: float | None) -> str:
    """Write a time span in one unit."""
    if seconds is None:
        return ""
    seconds = max(seconds, 0.0)  # clocks of several hosts may disagree
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


@contextmanager
def progress(description: str, *, total: int | None, shown: bool = True) -> Iterator["Bar"]:
    """Show a bar on standard error while something lasts; nothing if that is no terminal.

    Parameters
    ----------
    description
        What is being done.
    total
        Number of steps; None if that is not known.
    shown
        False where nobody wants it, as beside JSON.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *(columns if total is not None else columns[:2]),
        TimeElapsedColumn(),
        console=console(error=True),
        transient=True,
        disable=not (shown and sys.stderr.isatty()),
    ) as bars:
        yield Bar(bars, description, total)


class Bar:
    """A bar that is shown; several threads may move it."""

    def __init__(self, bars: Progress, description: str, total: int | None) -> None:
        self._bars, self._task = bars, bars.add_task(description, total=total)

    def step(self) -> None:
        """Go one step on."""
        self._bars.advance(self._task)

    def tell(self, description: str) -> None:
        """Say what is being done now."""
        self._bars.update(self._task, description=description)


def console(*, error: bool = False) -> Console:
    """Open a console that takes every text as it is: AE titles and errors come from elsewhere."""
    opened = Console(stderr=error, markup=False, highlight=False, emoji=False)
    if not opened.is_terminal:
        opened.width = WIDTH_OF_A_FILE
    return opened


def _cell(value: object) -> str:
    return "" if value is None else printable(str(value))


def printable(text: str) -> str:
    """Replace what could steer a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)
