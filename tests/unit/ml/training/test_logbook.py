"""The log of a training: what is kept when it goes on."""

from pathlib import Path

import pytest

from ml.training.logbook import LOG_NAME, Logbook, read_log


def test_lines_beyond_the_state_are_dropped_and_written_anew(tmp_path: Path) -> None:
    with Logbook(tmp_path, step=0) as logbook:
        for step in (1, 2, 3):
            logbook.write(step, loss=0.5)
        logbook.write(3, validation={"dice": 0.25})
    with Logbook(tmp_path, step=2) as logbook:
        logbook.write(3, loss=0.125)
    assert [(line["step"], line["loss"]) for line in read_log(tmp_path)] == [
        (1, 0.5),
        (2, 0.5),
        (3, 0.125),
    ]


def test_a_line_that_was_cut_short_is_left_out(tmp_path: Path) -> None:
    (tmp_path / LOG_NAME).write_text('{"step": 1, "loss": 1.0}\n{"step": 2, "lo')
    assert read_log(tmp_path) == [{"step": 1, "loss": 1.0}]


def test_a_line_is_in_the_file_as_soon_as_it_is_written(tmp_path: Path) -> None:
    with Logbook(tmp_path, step=0) as logbook:
        logbook.write(1, loss=1.0)
        assert len(read_log(tmp_path)) == 1


def test_a_closed_logbook_takes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not open"):
        Logbook(tmp_path, step=0).write(1, loss=1.0)
