"""Tables, time spans and progress as a person and a pipe see them."""

from datetime import UTC, datetime, timedelta

import pytest

from node.cli.output import age, duration, progress, write_facts, write_json, write_table

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (9.44, "9.4 s"),
        (59, "59 s"),
        (119, "119 s"),
        (121, "2 min"),
        (7199, "120 min"),
        (7200, "2 h"),
        (172_800, "2 d"),
        (-3, "0.0 s"),
        (None, ""),
    ],
)
def test_a_time_span_has_one_unit(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


def test_an_age_counts_from_now() -> None:
    assert age(NOW - timedelta(minutes=5), now=NOW) == "5 min"
    assert age(None, now=NOW) == ""


def test_a_table_takes_every_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    write_table("Peers", ("Name", ">Files"), [("[bold]A[/bold]:smile:\x1b[31m", 3), (None, 4)])
    written = capsys.readouterr().out
    assert "[bold]A[/bold]:smile:?[31m" in written
    assert "\x1b" not in written


def test_a_table_in_a_pipe_is_not_folded_at_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    write_table("Files", ("Name",), [("x" * 120,)])
    assert "x" * 120 in capsys.readouterr().out


def test_a_table_without_rows_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    write_table("Workers", ("Role",), [])
    assert capsys.readouterr().out == "Workers: none\n"


def test_facts_without_a_value_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    write_facts([("Outcome", "POSITIVE"), ("Reason", None), ("Score", 0)])
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["Outcome", "POSITIVE"],
        ["Score", "0"],
    ]


def test_json_has_dates_in_utc(capsys: pytest.CaptureFixture[str]) -> None:
    write_json({"at": NOW})
    assert '"at": "2030-01-01T00:00:00+00:00"' in capsys.readouterr().out
    with pytest.raises(TypeError):
        write_json({"at": object()})


def test_no_bar_is_drawn_into_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("sending", total=3) as bar:
        bar.step()
        bar.tell("still sending")
    captured = capsys.readouterr()
    assert captured.err == captured.out == ""
