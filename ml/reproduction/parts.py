"""Long computations in parts: a part that is finished is never computed again.

A part has a *key*: the digest of its settings, of the code that decides its result, and of what
the parts before it made. Its files lie in a folder named by the key, and ``done.json`` appears
there last, whole or not at all. A process may thus be killed at any moment: whatever has no
``done.json`` is made again (a training goes on from its own state), and nothing else is. Another
setting or other code has another key, and touches nothing that was made before.
"""

import fcntl
import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.errors import UsageError

logger = logging.getLogger(__name__)

Json = Any
"""What JSON can hold: dict, list, str, int, float, bool or None."""

WORK = "work"
"""Folder within a part's folder for what is only needed until the part is finished."""

_DONE = "done.json"


@dataclass(frozen=True, eq=False)
class Made:
    """A part that is finished.

    Attributes
    ----------
    name
        Of the part.
    folder
        Where its files lie.
    result
        What its function returned.
    digest
        Of its result and its files; the time that it took is no part of it.
    seconds
        Wall time of the run that finished it.
    """

    name: str
    folder: Path
    result: Json
    digest: str
    seconds: float

    def read(self, file: str) -> Json:
        """Read one of its JSON files."""
        return json.loads((self.folder / file).read_text())


Before = Mapping[str, Made]
"""The parts that a part needs, by name."""


@dataclass(frozen=True, eq=False)
class Part:
    """Something that is made once.

    Attributes
    ----------
    name
        Unique; may have slashes: ``train/unet``.
    settings
        Everything that decides the result and is no code, as JSON.
    code
        Digest of the code that decides the result; see `ml.reproduction.code`.
    make
        Called with the folder of the part and with what it needs. May write files there, and
        returns what JSON can hold.
    needs
        Names of the parts that come before.
    """

    name: str
    settings: Json
    code: str
    make: Callable[[Path, Before], Json]
    needs: tuple[str, ...] = ()


class Workshop:
    """Makes parts in a folder, each at most once.

    Parameters
    ----------
    out
        The folder; made if missing.
    parts
        In an order in which each comes after what it needs.
    tell
        Told what is being done, in one line.
    clock
        Seconds of a clock that only goes forward.

    Raises
    ------
    ValueError
        If a name occurs twice, or a part comes before one that it needs.
    """

    def __init__(
        self,
        out: Path,
        parts: Sequence[Part],
        *,
        tell: Callable[[str], None] = logger.info,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.out = out
        self.parts: dict[str, Part] = {}
        for part in parts:
            missing = [name for name in part.needs if name not in self.parts]
            if part.name in self.parts or missing:
                raise ValueError(f"{part.name} comes twice, or before {', '.join(missing)}")
            self.parts[part.name] = part
        self._tell, self._clock = tell, clock

    def make(self, only: Iterable[str] = ()) -> Mapping[str, Made]:
        """Make what is not made yet.

        Parameters
        ----------
        only
            Names, or beginnings of names, of the parts that are wanted; what they need is made
            too. Without any, all parts are.

        Returns
        -------
        Mapping
            The wanted parts and what they need.

        Raises
        ------
        UsageError
            If there is no such part, or if another process works in the folder.
        """
        wanted = self._wanted(tuple(only))
        self.out.mkdir(parents=True, exist_ok=True)
        made: dict[str, Made] = {}
        with _alone_in(self.out):
            for number, name in enumerate(wanted, start=1):
                made[name] = self._make(self.parts[name], made, f"{number}/{len(wanted)} {name}")
        return made

    def finished(self) -> Mapping[str, Made]:
        """Find all parts that are finished, and make none."""
        found: dict[str, Made] = {}
        for name, part in self.parts.items():
            if all(need in found for need in part.needs):
                made = self._find(part, found)
                if made is not None:
                    found[name] = made
        return found

    def folder_of(self, part: Part, before: Before) -> Path:
        """Folder of a part, which its key names."""
        return self.out / "parts" / part.name / _key(part, before)[:16]

    def _wanted(self, only: tuple[str, ...]) -> list[str]:
        chosen = {name for name in self.parts if not only or name.startswith(only)}
        for prefix in only:
            if not any(name.startswith(prefix) for name in self.parts):
                known = sorted({name.split("/")[0] for name in self.parts})
                raise UsageError(f"there is no part {prefix!r}; known: {', '.join(known)}")
        for name in reversed(self.parts):
            if name in chosen:
                chosen.update(self.parts[name].needs)
        return [name for name in self.parts if name in chosen]

    def _make(self, part: Part, made: Before, title: str) -> Made:
        before = {name: made[name] for name in part.needs}
        found = self._find(part, before)
        if found is not None:
            self._tell(f"{title}: finished before")
            return found
        self._tell(f"{title}: begins")
        folder, begun = self.folder_of(part, before), self._clock()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _DONE).unlink(missing_ok=True)
        result = part.make(folder, before)
        seconds = round(self._clock() - begun, 1)
        _write_done(part, before, folder, result, seconds)
        shutil.rmtree(folder / WORK, ignore_errors=True)
        self._tell(f"{title}: {seconds:.0f} s")
        found = self._find(part, before)
        if found is None:  # only if somebody else writes into the folder
            raise UsageError(f"{folder} changed while {part.name} was made; run it again")
        return found

    def _find(self, part: Part, before: Before) -> Made | None:
        """Find a finished part; None if it was never finished or its files are not what they were.

        What lies under its key but is damaged is made again: a wrong file helps nobody.
        """
        folder = self.folder_of(part, before)
        try:
            done = json.loads((folder / _DONE).read_text())
            files = {name: _sha256(folder / name) for name in done["files"]}
        except (OSError, ValueError, KeyError):
            return None
        if files != done["files"]:
            logger.warning("a file of %s is not the one that was written: it is made again", folder)
            return None
        digest = _digest({"files": files, "result": done["result"]})
        return Made(part.name, folder, done["result"], digest, float(done["seconds"]))


def write_json(path: Path, value: Json) -> None:
    """Write a value as JSON; the file appears whole or not at all."""
    partial = path.with_name(path.name + ".part")
    partial.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n")
    partial.replace(path)


def _write_done(part: Part, before: Before, folder: Path, result: Json, seconds: float) -> None:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.relative_to(folder) for path in paths]
    done = {
        "part": part.name,
        "key": _key(part, before),
        "settings": part.settings,
        "code": part.code,
        "needs": {name: made.digest for name, made in before.items()},
        "files": {
            name.as_posix(): _sha256(folder / name) for name in names if name.parts[0] != WORK
        },
        "result": result,
        "seconds": seconds,
    }
    write_json(folder / _DONE, done)


def _key(part: Part, before: Before) -> str:
    needs = {name: before[name].digest for name in part.needs}
    return _digest(
        {"part": part.name, "settings": part.settings, "code": part.code, "needs": needs}
    )


def _digest(value: Json) -> str:
    # through JSON and back, so that what was read has the digest of what was written
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder's lock; a process that is killed lets go of it by that."""
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"another process works in {folder}; wait for it, or end it"
            ) from error
        yield
