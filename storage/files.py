"""DICOM files on the disk, whole or not at all.

A result is written beside its place and renamed, so that a crash leaves a ``.part`` that nobody
reads, or the whole file. A received image is written in its place: nobody reads it before the index
names it, and its name tells whether it is whole (`node.adoption`). Names come from digests and own
numbers, never from a UID (CVE-2026-32711). On hosts that share the store it must be a file system
with atomic renames.
"""

import hashlib
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

from config.errors import StorageError, StorageFullError
from storage import secret
from storage.durable import (
    ASIDE_SUFFIX,
    FOLDER_MODE,
    PART_SUFFIX,
    make_folder,
    mapped_errors,
    put_back,
    sync_folder,
    take_away,
    write_new,
    write_over,
)

SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class StoredFile:
    """A file of our own making: where it is, relative to the root, and what it holds."""

    path: str
    sha256: str
    num_bytes: int


class FileStore:
    """A folder of files that are only ever added, moved aside or removed.

    Parameters
    ----------
    root
        Folder of the store; made if missing, for this user alone.
    reserve_bytes
        Free space below which nothing more is accepted.
    """

    def __init__(self, root: Path, *, reserve_bytes: int) -> None:
        self._root = root.resolve()
        self._reserve_bytes = reserve_bytes
        with mapped_errors("make the store's folder"):
            self._root.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)

    @property
    def root(self) -> Path:
        """Absolute path of the store's folder."""
        return self._root

    @property
    def has_site_key(self) -> bool:
        """Whether the site's secret was made."""
        return (self._root / secret.NAME).exists()

    @cached_property
    def site_key(self) -> bytes:
        """The site's secret; it is made where it is missing.

        Raises
        ------
        StorageError
            If it cannot be read or made.
        """
        return secret.read_or_make(self._root)

    @property
    def free_bytes(self) -> int:
        """How much room there is on the disk.

        Raises
        ------
        StorageError
            If it cannot be read.
        """
        with mapped_errors("read the free space"):
            return shutil.disk_usage(self._root).free

    def check_space(self) -> None:
        """Check that there is room for more.

        Raises
        ------
        StorageFullError
            If less than the reserve is free.
        """
        free = self.free_bytes
        if free < self._reserve_bytes:
            raise StorageFullError(
                f"{free} bytes are free, storage.reserve_bytes is {self._reserve_bytes}"
            )

    def write_received(self, pieces: Iterable[bytes], *, sha256: str) -> str:
        """Write a received file; when it returns, the file survives a loss of power.

        Parameters
        ----------
        pieces
            The file's bytes in order: preamble, file meta information, data set.
        sha256
            Digest of the data set, hexadecimal; names the file, so a repetition takes no room.

        Returns
        -------
        str
            Path relative to the root.

        Raises
        ------
        StorageFullError
            If the disk is full.
        StorageError
            If it cannot be written for another reason.
        """
        relative = self.path_of_received(sha256)
        target = self._root / relative
        with mapped_errors("write a file"):
            make_folder(target.parent)
            try:
                write_new(target, pieces)
            except FileExistsError:
                # a repetition, or what a crash left of it: replaced by what is whole
                write_over(target, pieces)
        return relative

    def path_of_received(self, sha256: str) -> str:
        """Name the file of a received data set, by the digest of that; relative to the root."""
        if not SHA256.fullmatch(sha256):
            raise ValueError("sha256 must be 64 lower-case hexadecimal digits")
        return f"received/{sha256[:2]}/{sha256}.dcm"

    def read(self, relative: str) -> bytes:
        """Read a file of the store.

        Raises
        ------
        StorageError
            If it is not there, or cannot be read.
        """
        with mapped_errors("read a file"):
            return self.path(relative).read_bytes()

    def write_result(self, content: bytes, *, job_id: int, suffix: str = ".dcm") -> StoredFile:
        """Write an object that a job made; another run of the same job overwrites nothing.

        Raises
        ------
        StorageFullError, StorageError
            As `write_received`.
        """
        sha256 = hashlib.sha256(content).hexdigest()
        relative = f"results/{job_id}/{sha256}{suffix}"
        target = self._root / relative
        with mapped_errors("write a file"):
            make_folder(target.parent)
            write_over(target, [content])
        return StoredFile(path=relative, sha256=sha256, num_bytes=len(content))

    def quarantine(self, relative: str) -> str:
        """Move a received file aside, and give its new path; repeating it does no harm.

        Raises
        ------
        StorageError
            If there is no such file, or it cannot be moved.
        """
        source = self.path(relative)
        target = self._root / "quarantine" / source.name
        with mapped_errors("quarantine a file"):
            make_folder(target.parent)
            if source.exists() or not target.exists():
                source.replace(target)
                sync_folder(target.parent)
                sync_folder(source.parent)
        return target.relative_to(self._root).as_posix()

    def remove(self, relative: str, *, unless_since: datetime) -> int:
        """Remove a file that nobody needs, unless it was written again in the meantime.

        Parameters
        ----------
        unless_since
            A file that was written from then on is kept.

        Returns
        -------
        int
            Its size; 0 if it is kept, or was gone already.

        Raises
        ------
        StorageError
            If it cannot be removed.
        """
        with mapped_errors("remove a file"):
            return take_away(
                self.path(relative),
                unless=lambda found: found.st_mtime >= unless_since.timestamp(),
            )

    def remove_scratch(self, job_id: int) -> int:
        """Remove what a job's steps left for each other; returns its size.

        Raises
        ------
        StorageError
            If it cannot be removed.
        """
        num_bytes = 0
        with mapped_errors("remove a file"):
            for path in sorted(self.path(f"results/{job_id}").glob("*.npz")):
                num_bytes += path.stat().st_size
                path.unlink()
        return num_bytes

    def received(self, *, before: datetime) -> Iterator[str]:
        """List the received files that were written before some time."""
        for path in sorted(self._root.glob("received/*/*.dcm")):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < before.timestamp():
                    yield path.relative_to(self._root).as_posix()

    def put_back(self) -> int:
        """Put back what a crash left aside, and count it."""
        left = sorted(self._root.glob(f"received/*/*{ASIDE_SUFFIX}"))
        with mapped_errors("put a file back"):
            for aside in left:
                put_back(aside)
        return len(left)

    def path(self, relative: str) -> Path:
        """Absolute path of a file of the store.

        Raises
        ------
        StorageError
            If the path leads out of the store.
        """
        path = (self._root / relative).resolve()
        if path == self._root or not path.is_relative_to(self._root):
            raise StorageError("a stored path leads out of the store")
        return path

    def sweep_parts(self, *, now: datetime, older_than: timedelta = timedelta(hours=1)) -> int:
        """Remove what a crash left half written, and count it.

        Parameters
        ----------
        older_than
            Younger ones may belong to another process that is writing them.
        """
        before = (now - older_than).timestamp()
        num_removed = 0
        for part in self._root.rglob(f"*{PART_SUFFIX}"):
            with suppress(FileNotFoundError):
                if part.stat().st_mtime <= before:
                    part.unlink()
                    num_removed += 1
        return num_removed
