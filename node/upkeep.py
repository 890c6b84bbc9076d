"""Whether what the index says is in the store: each file, its size and, if asked, its digest."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from node.custody import PREAMBLE
from storage.files import FileStore
from storage.upkeep import KnownFile

GROUP_LENGTH_BYTES = 12
"""File Meta Information Group Length (0002,0000): tag, VR, length, UL (PS3.10 7.1)."""


@dataclass(frozen=True)
class FileFaults:
    """How many files were looked at, and which are not what the index says, by their paths."""

    num_files: int
    missing: tuple[str, ...]
    altered: tuple[str, ...]

    @property
    def is_sound(self) -> bool:
        """Whether every file is there and whole."""
        return not (self.missing or self.altered)


def check_files(
    known: Iterable[KnownFile],
    files: FileStore,
    *,
    digests: bool,
    step: Callable[[], None] = lambda: None,
) -> FileFaults:
    """Look at every file that the index names.

    Parameters
    ----------
    digests
        Whether to read every file and compare its digest, and not only its size.
    step
        Called after each file.
    """
    missing, altered, count = [], [], 0
    for each in known:
        path = files.path(each.path)
        count += 1
        if not path.is_file():
            missing.append(each.path)
        elif not _is_as_noted(path, each, digests=digests):
            altered.append(each.path)
        step()
    return FileFaults(count, tuple(missing), tuple(altered))


def _is_as_noted(path: Path, known: KnownFile, *, digests: bool) -> bool:
    if known.num_bytes is not None and path.stat().st_size != known.num_bytes:
        return False
    if not digests:
        return True
    content = path.read_bytes()
    digested = content if known.num_bytes is None else _data_set(content)
    return hashlib.sha256(digested).hexdigest() == known.sha256


def _data_set(content: bytes) -> bytes:
    """Leave out what `node.custody.part10` put before the data set."""
    start = len(PREAMBLE) + GROUP_LENGTH_BYTES
    group_length = int.from_bytes(content[start - 4 : start], "little")
    return content[start + group_length :]
