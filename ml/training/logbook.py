"""What a training writes down on its way: one JSON line for each step and each validation."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

LOG_NAME = "log.jsonl"


class Logbook:
    """The file ``log.jsonl`` of a training.

    A line is ``{"step": 12, "loss": 1.3, "rate": 0.002}`` or ``{"step": 250, "validation":
    {"dice_ICH": 0.7, ...}}``. A line is in the file before the state of its step is, so that
    after any interruption the file can be cut back to the state and continued.

    Parameters
    ----------
    folder
        Of the training.
    step
        Steps that the state has done; lines of later ones are dropped.
    """

    def __init__(self, folder: Path, *, step: int) -> None:
        self._path = folder / LOG_NAME
        kept = [line for line in read_log(folder) if line["step"] <= step]
        partial = self._path.with_suffix(".part")
        partial.write_text("".join(json.dumps(line) + "\n" for line in kept))
        partial.replace(self._path)
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        self._file = self._path.open("a", buffering=1)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, step: int, **told: object) -> None:
        """Add a line."""
        if self._file is None:
            raise ValueError("the logbook is not open")
        self._file.write(json.dumps({"step": step, **told}) + "\n")


def read_log(folder: Path) -> list[Mapping[str, Any]]:
    """Read the lines of a training's log; a last line that was cut short is left out."""
    path = folder / LOG_NAME
    if not path.exists():
        return []
    lines = path.read_text().split("\n")
    return [json.loads(line) for line in lines[:-1]]
