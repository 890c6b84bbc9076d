"""Received images that no row names are entered again: the file is the truth, the row an index.

A loss of power may take the last rows of SQLite with it (`node.custody.enter`), a crash may come
between an image and its row, and an index that was put back from a backup knows less than the
store. Whoever finds such an image has it entered as if it had just come. A sender that got no
answer sends again, and finds a repetition.
"""

import hashlib
import logging
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path, PurePosixPath

from config.errors import InstanceConflictError, MidlineError, PatientConflictError
from node.custody import Stores, enter, received_instance
from node.part10 import read
from node.reception import ReceptionError
from storage.database import Database
from storage.files import FileStore

logger = logging.getLogger(__name__)

BATCH = 500
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Another one after each start of the machine (random(4))."""


@dataclass(frozen=True)
class Unnamed:
    """A received file, and whether a row names it although no study needs it any more."""

    path: str
    is_known: bool


def adopt(path: str, stores: Stores) -> bool:
    """Enter a received file that no row names.

    Parameters
    ----------
    path
        As `FileStore.received` lists it.

    Returns
    -------
    bool
        False if it is no whole image: its content is not what its name says.

    Raises
    ------
    StorageError
        If it cannot be read or entered now.
    """
    content = stores.files.read(path)
    received = read(content)
    sha256 = PurePosixPath(path).stem
    if received is None or hashlib.sha256(received.request.data_set).hexdigest() != sha256:
        return False
    try:
        instance = received_instance(
            received.request,
            stores,
            calling_ae_title=received.calling_ae_title,
            path=path,
            sha256=sha256,
            num_bytes=len(content),
        )
        enter(instance, stores)
    except ReceptionError as error:
        # an earlier version took it: a person may look
        aside = stores.files.quarantine(path)
        logger.error("an image without a row lies in %s: %s", aside, error)  # noqa: TRY400
    except (InstanceConflictError, PatientConflictError):
        logger.warning("an image without a row contradicts the index")
    return True


def unneeded(files: FileStore, database: Database, *, before: datetime) -> Iterator[Unnamed]:
    """List the received files that were written before some time, and that no study needs."""
    paths = files.received(before=before)
    while batch := list(islice(paths, BATCH)):
        with database.read() as transaction:
            needed = transaction.retention.needed(batch)
            known = transaction.retention.known(batch)
        for path in batch:
            if path not in needed:
                yield Unnamed(path, is_known=path in known)


def adopt_after_boot(stores: Stores, stop: threading.Event) -> int:
    """Look once after each start of the machine for images that lost their rows.

    Returns
    -------
    int
        How many were entered.
    """
    mark = _Mark(stores.files)
    if mark.is_set:
        return 0
    num_adopted = 0
    for found in unneeded(stores.files, stores.database, before=datetime.now(UTC)):
        if stop.is_set():
            return num_adopted
        if not found.is_known:
            num_adopted += adopt(found.path, stores)
    mark.set()
    if num_adopted:
        logger.warning("entered %d images that had lost their rows", num_adopted)
    return num_adopted


def run_until(stop: threading.Event, stores: Stores) -> None:
    """Do `adopt_after_boot`; a store or database that is away is asked again at the next start."""
    try:
        adopt_after_boot(stores, stop)
    except MidlineError as error:
        logger.warning("images without a row were not looked for: %s", error)


class _Mark:
    """That this host has looked since its start; hosts that share a store have one each."""

    def __init__(self, files: FileStore) -> None:
        host = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:16]
        self._path = files.root / "boots" / host
        self._boot = BOOT_ID.read_text(encoding="ascii").strip() if BOOT_ID.exists() else ""

    @property
    def is_set(self) -> bool:
        try:
            return bool(self._boot) and self._path.read_text(encoding="ascii") == self._boot
        except OSError:
            return False

    def set(self) -> None:
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        self._path.write_text(self._boot, encoding="ascii")
