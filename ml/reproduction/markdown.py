"""Tables as Markdown and as JSON."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from ml.evaluation.statistics import Interval
from ml.reproduction.parts import Json

_SMALLEST_P = 0.001


@dataclass(frozen=True)
class Table:
    """A table to be read.

    Attributes
    ----------
    title
        Above it.
    columns
        Headings.
    rows
        One text for each column.
    notes
        Below it, one sentence each.
    facts
        The numbers behind it, as JSON or dataclasses.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    facts: Any = None

    def __post_init__(self) -> None:
        """Refuse a row of another length."""
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"a row of {self.title!r} does not have {len(self.columns)} cells")


def to_markdown(table: Table, *, level: int = 3) -> str:
    """Write a table as GitHub has it, its title as a heading."""
    lines = [
        f"{'#' * level} {table.title}",
        "",
        _row(table.columns),
        _row(("---",) * len(table.columns)),
        *map(_row, table.rows),
    ]
    if table.notes:
        lines += ["", " ".join(table.notes)]
    return "\n".join(lines) + "\n"


def to_plain(value: Any) -> Json:
    """Turn dataclasses, mappings and sequences into what JSON holds."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {field.name: to_plain(getattr(value, field.name)) for field in fields}
    if isinstance(value, dict):
        return {str(key): to_plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(each) for each in value]
    return value


def from_plain(held: Json) -> Table:
    """Make a table of what `to_plain` made of one."""
    return Table(
        title=held["title"],
        columns=tuple(held["columns"]),
        rows=tuple(map(tuple, held["rows"])),
        notes=tuple(held["notes"]),
        facts=held["facts"],
    )


def number(value: float | None, digits: int = 3) -> str:
    """Write a number; a dash where there is none."""
    if value is None:
        return "–"
    # what is rounded to nothing has no sign
    return f"{round(value, digits) + 0.0:.{digits}f}"


def interval(value: Interval | None, *, scale: float = 1.0, digits: int = 3) -> str:
    """Write an estimate with its interval in brackets."""
    if value is None:
        return "–"
    estimate, low, high = (
        number(scale * each, digits) for each in (value.estimate, value.low, value.high)
    )
    return f"{estimate} [{low}, {high}]"


def p_value(value: float | None) -> str:
    """Write a p value; what is very small only as smaller than that."""
    if value is None:
        return "–"
    return f"< {_SMALLEST_P}" if value < _SMALLEST_P else f"{value:.3f}"


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
