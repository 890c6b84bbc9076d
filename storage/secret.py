"""The site's secret: a key beside the files, made once, that makes digests of patients no guess.

A plain digest of a Patient ID is undone by trying all IDs; a keyed one is not, for whoever has the
index alone. All hosts of a store read the same file. Keep a copy of it with each backup: without it
no image that is still to come can be told to be of a known patient.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from config.errors import StorageError

NAME = "site.key"
NUM_BYTES = 32


def read_or_make(folder: Path) -> bytes:
    """Read the site's secret; make it if there is none.

    Of several processes that do so at once, one makes it, and all have the same.

    Raises
    ------
    StorageError
        If it cannot be read or made, or is no key.
    """
    path = folder / NAME
    try:
        if not path.exists():
            _make(path)
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"{path} cannot be read or made ({type(error).__name__})") from error
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != NUM_BYTES:
        raise StorageError(f"{path} is no key of {NUM_BYTES} bytes: bring it back from a backup")
    return key


def _make(path: Path) -> None:
    """Write a new secret beside its place, and give it the name unless somebody was faster."""
    part = path.with_name(f"{NAME}.{secrets.token_hex(8)}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(NUM_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(part, path)
    finally:
        part.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
