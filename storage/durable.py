"""Files that survive a loss of power, on the level of the operating system.

A file is safe when its content is, and its name: both are forced to the disk. Journaling file
systems that commit in order force the name of a new file with its content; others need the folder
to be forced too.
"""

import errno
import fcntl
import functools
import mmap
import os
import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue

from config.errors import StorageError, StorageFullError

FOLDER_MODE = 0o700
FILE_MODE = 0o600
PART_SUFFIX = ".part"
ASIDE_SUFFIX = ".aside"
FULL_ERRORS = (errno.ENOSPC, errno.EDQUOT)
KEEPING_NAMES = frozenset({"ext4", "xfs", "btrfs"})
"""File systems on which fsync of a new file also makes its name safe, and the new folders above it:
the journal, which holds them, is committed with it."""
DIRECT = getattr(os, "O_DIRECT", 0)
"""Past the page cache: a file of half a megabyte takes a third of the time and a quarter of the
processor (docs/performance.md), and images do not drive the database out of memory."""
BLOCK_BYTES = 4096
"""What is written past the page cache begins and ends at a multiple of it."""
BUFFER_BYTES = 1 << 20
MOUNTS = Path("/proc/self/mountinfo")

_BUFFERS: SimpleQueue[mmap.mmap] = SimpleQueue()


def write_new(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file that is not there yet; when it returns, it survives a loss of power.

    A crash may leave a part of it under its name.

    Raises
    ------
    FileExistsError
        If there is such a file.
    OSError
        If it cannot be written; nothing of it is left then.
    """
    direct = DIRECT if takes_direct(path.parent) else 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | direct, FILE_MODE)
    try:
        own = os.fstat(descriptor)
        _write(descriptor, pieces)
        os.fsync(descriptor)
    except BaseException:
        with suppress(OSError):
            # who writes the same at the same time may have put a whole file in its place
            take_away(path, unless=lambda found: not os.path.samestat(found, own))
        raise
    finally:
        os.close(descriptor)
    if not keeps_names(path.parent):
        sync_folder(path.parent)


def _write(descriptor: int, pieces: Iterable[bytes]) -> None:
    """Write pieces by way of a buffer whose blocks the disk takes as they are."""
    with _buffer() as buffer, memoryview(buffer) as room:
        num_bytes = filled = 0
        for piece in pieces:
            left = memoryview(piece)
            while left:
                taken = min(len(left), BUFFER_BYTES - filled)
                room[filled : filled + taken] = left[:taken]
                left, filled, num_bytes = left[taken:], filled + taken, num_bytes + taken
                if filled == BUFFER_BYTES:
                    _write_all(descriptor, room)
                    filled = 0
        end = -(-filled // BLOCK_BYTES) * BLOCK_BYTES
        room[filled:end] = bytes(end - filled)
        _write_all(descriptor, room[:end])
        os.ftruncate(descriptor, num_bytes)


def _write_all(descriptor: int, content: memoryview) -> None:
    while content:
        try:
            content = content[os.write(descriptor, content) :]
        except OSError as error:
            flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
            if error.errno != errno.EINVAL or not flags & DIRECT:
                raise
            # larger blocks than ours, or a short write that ended within one
            fcntl.fcntl(descriptor, fcntl.F_SETFL, flags & ~DIRECT)


@contextmanager
def _buffer() -> Iterator[mmap.mmap]:
    """Lend a buffer that begins at a page; they are kept, since memory that is new costs most."""
    try:
        buffer = _BUFFERS.get_nowait()
    except Empty:
        buffer = mmap.mmap(-1, BUFFER_BYTES)
    try:
        yield buffer
    finally:
        _BUFFERS.put(buffer)


def write_over(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file beside its place and rename it: there is never a part of it under its name.

    Raises
    ------
    OSError
        If it cannot be written; what was there before is left.
    """
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}{PART_SUFFIX}")
    try:
        write_new(part, pieces)
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def take_away(path: Path, *, unless: Callable[[os.stat_result], bool]) -> int:
    """Remove a file, unless it turns out to be another one than was meant.

    It is moved aside first, and looked at there: whoever writes it at the same moment has written
    another file, which is put back if it was taken.

    Returns
    -------
    int
        Its size; 0 if it is kept, or was gone already.

    Raises
    ------
    OSError
        If it cannot be removed.
    """
    aside = path.with_name(path.name + ASIDE_SUFFIX)
    try:
        if unless(path.stat()):
            return 0
        path.replace(aside)
        found = aside.stat()
    except FileNotFoundError:
        return 0
    if unless(found):
        put_back(aside)
        return 0
    aside.unlink()
    return found.st_size


def put_back(aside: Path) -> None:
    """Give a file its name again; the same content under it now may be replaced."""
    aside.replace(aside.with_name(aside.name.removesuffix(ASIDE_SUFFIX)))


def make_folder(folder: Path) -> None:
    """Make a folder with its parents; each level is safe on the disk with what is forced in it."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
    if not keeps_names(folder.parent):
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Force a folder's entries to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@functools.lru_cache(maxsize=1024)
def keeps_names(folder: Path) -> bool:
    """Whether forcing a new file to the disk also makes its name in this folder safe.

    Where the kind of file system cannot be told, it does not.
    """
    with suppress(OSError, ValueError):
        return filesystem_of(folder, MOUNTS.read_text(encoding="utf-8")) in KEEPING_NAMES
    return False


@functools.lru_cache(maxsize=1024)
def takes_direct(folder: Path) -> bool:
    """Whether files in this folder can be written past the page cache; tried with one."""
    probe = folder / f"{uuid.uuid4().hex}{PART_SUFFIX}"
    try:
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | DIRECT, FILE_MODE))
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return False
    finally:
        # some file systems make the file before they refuse
        probe.unlink(missing_ok=True)
    return bool(DIRECT)


def filesystem_of(folder: Path, mounts: str) -> str:
    """Name the kind of file system that a folder lies on; empty if it cannot be told.

    Parameters
    ----------
    folder
        Absolute path.
    mounts
        As in ``/proc/self/mountinfo`` (proc(5)): the mount point is the fifth field, the kind
        follows a lone hyphen.
    """
    kind, deepest = "", -1
    for line in mounts.splitlines():
        fields, _, source = line.partition(" - ")
        point = Path(
            re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), fields.split()[4])
        )
        # a later one covers those before it
        if folder.is_relative_to(point) and len(point.parts) >= deepest:
            kind, deepest = source.split()[0], len(point.parts)
    return kind


@contextmanager
def mapped_errors(action: str) -> Iterator[None]:
    """Turn the operating system's errors into ours."""
    try:
        yield
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "unknown error")
        if error.errno in FULL_ERRORS:
            raise StorageFullError(f"cannot {action}: no room ({name})") from error
        raise StorageError(f"cannot {action} ({name})") from error
