"""Cells stay cells, whatever is written into them."""

import pytest

from node.documents.markdown import bullets, document, heading, table


def test_a_bar_or_a_line_break_does_not_end_a_cell() -> None:
    lines = table(("A", "B"), [("x|y", "two\nlines"), (1, None)]).splitlines()
    assert lines == ["| A | B |", "| --- | --- |", r"| x\|y | two lines |", "| 1 | None |"]


@pytest.mark.parametrize("rows", [[], [("one",)], [("one", "two", "three")]])
def test_a_table_without_rows_or_with_another_width_is_refused(rows: list[tuple[str]]) -> None:
    with pytest.raises(ValueError, match="a table of A, B"):
        table(("A", "B"), rows)


def test_parts_are_parted_by_one_empty_line() -> None:
    assert document(heading("T", level=2), "", bullets("a", "b"), "end\n") == (
        "## T\n\n- a\n- b\n\nend\n"
    )
