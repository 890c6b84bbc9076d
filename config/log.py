"""Logging without patient data: one line for each step, with the study and the job it is about.

::

    with log_scope(study=job.study_id, job=job.id):
        logger.info("analysed in %.1f s", elapsed_s)
    # 2030-01-01T00:00:00.000Z INFO node.engine study=17 job=23 analysed in 8.4 s

Other libraries quote what they read, so of their records only errors are written, and of those
only where they come from. Of an exception the type and the place are written, and the text if it
is one of ours.
"""

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import PurePath
from traceback import extract_tb
from types import MappingProxyType
from typing import Literal, TextIO

from config.errors import MidlineError

HANDLER_NAME = "midline"
OURS = ("config", "storage", "ml", "node", "run_node", "__main__")
QUIET = (
    "pydicom",
    "pynetdicom",
    "highdicom",
    "dbos",
    "sqlalchemy",
    "alembic",
    "urllib3",
    "py.warnings",
)
MOST_FRAMES = 4
SEVERITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))
"""Of syslog (RFC 5424 6.2.1), for levels from the most severe one down."""

_scope: ContextVar[Mapping[str, int | str]] = ContextVar("_scope", default=MappingProxyType({}))


@contextmanager
def log_scope(**fields: int | str) -> Iterator[None]:
    """Add fields to every record written inside: numbers of the index, never a UID."""
    token = _scope.set({**_scope.get(), **fields})
    try:
        yield
    finally:
        _scope.reset(token)


def configure(
    level: str,
    *,
    stream: TextIO | None = None,
    log_format: Literal["text", "json"] = "text",
) -> None:
    """Write the records of this process to a stream; a second call replaces the first.

    Parameters
    ----------
    level
        Least severe level of our own records; those of other libraries are errors at least.
    stream
        Standard error if None.
    log_format
        One line of text, or one JSON object, for each record.
    """
    stream = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(stream)
    handler.set_name(HANDLER_NAME)
    handler.addFilter(_is_written)
    formatter = JsonFormatter() if log_format == "json" else TextFormatter()
    handler.setFormatter(JournalFormatter(formatter) if is_journal(stream) else formatter)
    root = logging.getLogger()
    for old in [each for each in root.handlers if each.get_name() == HANDLER_NAME]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(capture=True)
    for name in QUIET:
        _quieten(logging.getLogger(name))


def _quieten(logger: logging.Logger) -> None:
    """Let a library speak through our handler alone.

    One handler that does nothing stays, since some libraries add their own where there is none.
    """
    for handler in tuple(logger.handlers):
        logger.removeHandler(handler)
    logger.addHandler(logging.NullHandler())
    logger.propagate = True
    logger.setLevel(logging.ERROR)


class TextFormatter(logging.Formatter):
    """One line: time, level, logger, scope, message, and the places of an exception."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record as one line of text."""
        fields = _fields(record)
        scope = [f"{key}={value}" for key, value in _scope.get().items()]
        parts = [fields["time"], fields["level"], fields["logger"], *scope, fields["message"]]
        if "exception" in fields:
            parts.append(f"[{fields['exception']}]")
        return _one_line(" ".join(parts))


class JsonFormatter(logging.Formatter):
    """One JSON object with the same content as a line of text."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record as one JSON object on one line."""
        return json.dumps({**_scope.get(), **_fields(record)})


class JournalFormatter(logging.Formatter):
    """Severity before each line, which systemd's journal takes off and files (sd-daemon(3))."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """Write a record as one line with its severity."""
        severity = next(n for level, n in SEVERITIES if record.levelno >= level)
        return f"<{severity}>{self._inner.format(record)}"


def is_journal(stream: TextIO) -> bool:
    """Whether a stream goes to systemd's journal: it names device and inode of it."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _is_written(record: logging.LogRecord) -> bool:
    """Drop what other libraries say below an error, whatever level they gave themselves."""
    return _is_ours(record) or record.levelno >= logging.ERROR


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name.split(".")[0] in OURS


def _fields(record: logging.LogRecord) -> dict[str, str]:
    """Take from a record what may be written."""
    moment = datetime.fromtimestamp(record.created, UTC)
    fields = {
        "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": record.levelname,
        "logger": record.name,
        "message": f"an error was reported at {record.module}:{record.lineno}",
    }
    if _is_ours(record):
        fields["message"] = record.getMessage()
    if record.exc_info and record.exc_info[1] is not None:
        fields["exception"] = describe(record.exc_info[1])
    return fields


def describe(error: BaseException) -> str:
    """Say what an exception is and where it was raised, with the text only of our own errors."""
    text = f": {error}" if isinstance(error, MidlineError) else ""
    frames = reversed(extract_tb(error.__traceback__)[-MOST_FRAMES:])
    places = (
        f"{'/'.join(PurePath(frame.filename).parts[-2:])}:{frame.lineno} {frame.name}"
        for frame in frames
    )
    said = f"{type(error).__name__}{text} at {' < '.join(places) or 'an unknown place'}"
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return said if cause is None else f"{said}; from {describe(cause)}"


def _one_line(text: str) -> str:
    """Write control characters as escapes, so that no text can pass for another record."""
    return "".join(
        character if character.isprintable() else repr(character)[1:-1] for character in text
    )
