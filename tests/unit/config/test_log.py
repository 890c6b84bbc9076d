"""Records: their scope, their form, and what is left out of them."""

import io
import json
import logging
import os
import re
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from config.errors import PeerUnavailableError
from config.log import QUIET, configure, log_scope

OURS = logging.getLogger("node.engine")
FOREIGN = logging.getLogger("pydicom")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Put the loggers of the process back as they were."""
    root = logging.getLogger()
    names = ("", *QUIET)
    before = {
        name: (log.level, log.propagate, tuple(log.handlers))
        for name in names
        for log in [logging.getLogger(name)]
    }
    yield
    logging.captureWarnings(capture=False)
    for name, (level, propagate, handlers) in before.items():
        log = logging.getLogger(name) if name else root
        log.setLevel(level)
        log.propagate = propagate
        for handler in tuple(log.handlers):
            if handler not in handlers:
                log.removeHandler(handler)


@pytest.fixture
def stream() -> io.StringIO:
    stream = io.StringIO()
    configure("INFO", stream=stream)
    return stream


def test_a_record_is_one_line_with_its_scope(stream: io.StringIO) -> None:
    with log_scope(study=17), log_scope(job=23):
        OURS.info("analysed in %.1f s", 8.44)
    OURS.info("idle")
    first, second = stream.getvalue().splitlines()
    pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO node\.engine "
    assert re.fullmatch(pattern + r"study=17 job=23 analysed in 8\.4 s", first)
    assert re.fullmatch(pattern + "idle", second)


def test_each_thread_has_a_scope_of_its_own(stream: io.StringIO) -> None:
    with log_scope(study=1), ThreadPoolExecutor(1) as pool:
        pool.submit(OURS.info, "elsewhere").result()
    assert "study" not in stream.getvalue()


def test_below_the_level_nothing_is_written(stream: io.StringIO) -> None:
    OURS.debug("detail")
    assert stream.getvalue() == ""


def test_a_second_call_replaces_the_first(stream: io.StringIO) -> None:
    other = io.StringIO()
    configure("INFO", stream=other)
    OURS.info("once")
    assert stream.getvalue() == ""
    assert other.getvalue().count("once") == 1


def test_other_libraries_are_heard_only_of_errors_and_never_quoted(stream: io.StringIO) -> None:
    configure("DEBUG", stream=stream)
    FOREIGN.warning("value SECRET")
    FOREIGN.setLevel(logging.DEBUG)
    FOREIGN.info("value SECRET")
    assert stream.getvalue() == ""
    FOREIGN.error("value SECRET")
    assert "ERROR pydicom an error was reported at test_log:" in stream.getvalue()
    assert "SECRET" not in stream.getvalue()


def test_warnings_are_not_written(stream: io.StringIO, capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("invalid value 'SECRET'", stacklevel=1)
    captured = capfd.readouterr()
    assert "SECRET" not in stream.getvalue() + captured.out + captured.err


def test_a_library_that_adds_its_own_handlers_loses_them(stream: io.StringIO) -> None:
    theirs = logging.StreamHandler(io.StringIO())
    FOREIGN.addHandler(theirs)
    FOREIGN.propagate = False
    configure("INFO", stream=stream)
    assert theirs not in FOREIGN.handlers
    assert FOREIGN.handlers
    assert FOREIGN.propagate


def test_of_a_foreign_exception_only_type_and_place_are_written(stream: io.StringIO) -> None:
    try:
        int("SECRET")
    except ValueError:
        OURS.exception("the study failed")
    (line,) = stream.getvalue().splitlines()
    assert "the study failed [ValueError at config/test_log.py:" in line
    assert "SECRET" not in line


def test_of_our_own_exception_the_text_is_written_and_its_cause_named(stream: io.StringIO) -> None:
    def call() -> None:
        try:
            int("SECRET")
        except ValueError as error:
            raise PeerUnavailableError("no connection to PACS") from error

    try:
        call()
    except PeerUnavailableError:
        OURS.exception("not sent")
    line = stream.getvalue()
    assert "PeerUnavailableError: no connection to PACS at " in line
    assert "; from ValueError at " in line
    assert "SECRET" not in line


def test_no_text_can_pass_for_another_record(stream: io.StringIO) -> None:
    OURS.info("caller %s", "CT1\n2030-01-01 INFO node forged\x1b[2J")
    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b" not in stream.getvalue()


def test_json_has_the_same_content() -> None:
    stream = io.StringIO()
    configure("INFO", stream=stream, log_format="json")
    with log_scope(study=17):
        try:
            int("x")
        except ValueError:
            OURS.exception("failed")
    record = json.loads(stream.getvalue())
    assert (record["study"], record["level"], record["logger"]) == (17, "ERROR", "node.engine")
    assert record["message"] == "failed"
    assert record["exception"].startswith("ValueError at ")


def test_the_journal_of_systemd_gets_the_severity_of_each_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "journal").open("w+") as stream:
        status = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        configure("DEBUG", stream=stream)
        logger = logging.getLogger("node.test")
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.CRITICAL):
            logger.log(level, "said")
        monkeypatch.setenv("JOURNAL_STREAM", "1:1")
        configure("DEBUG", stream=stream)
        logger.info("said")
        stream.seek(0)
        lines = stream.read().splitlines()
    assert [line[:3] for line in lines[:4]] == ["<7>", "<6>", "<4>", "<3>"]
    assert not lines[4].startswith("<")
