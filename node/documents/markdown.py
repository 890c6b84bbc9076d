"""Headings, tables and lists in Markdown, as GitHub shows them."""

from collections.abc import Iterable, Sequence

LINE = "<br>"
"""Parts the lines within a cell."""


def heading(title: str, *, level: int) -> str:
    """Write a heading."""
    return f"{'#' * level} {title}"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a table.

    Parameters
    ----------
    columns
        Headings.
    rows
        One value for each column; a bar in it is escaped.

    Raises
    ------
    ValueError
        If a row has another number of cells, or if there is no row.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    if not cells or any(len(row) != len(columns) for row in cells):
        raise ValueError(
            f"a table of {', '.join(columns)} without rows, or with a row that differs"
        )
    return "\n".join([_row(columns), _row(["---"] * len(columns)), *(_row(row) for row in cells)])


def bullets(*lines: str) -> str:
    """Write a list."""
    return "\n".join(f"- {line}" for line in lines)


def verbatim(lines: Iterable[str]) -> str:
    """Write lines as they are."""
    return "\n".join(["```text", *lines, "```"])


def code(text: object) -> str:
    """Write a value of a setting or an attribute."""
    return f"`{text}`"


def document(*parts: str) -> str:
    """Put parts together, an empty line between them."""
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _cell(value: object) -> str:
    return " ".join(str(value).replace("|", r"\|").split())


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
