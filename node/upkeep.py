"""Whether what the index says is in the store: each file, its size and, if asked, its digest."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from node.part10 import data_set_of
from storage.files import FileStore
from storage.upkeep import KnownFile


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
    digested = content if known.num_bytes is None else data_set_of(content)
    return hashlib.sha256(digested).hexdigest() == known.sha256
