"""Whether the folder has room, can be written durably, and is on a disk that lasts."""

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from config.settings import Settings
from node.doctor.findings import Ailment, Check, Finding, Level
from node.tls import FOR_OTHERS

MOUNTS = Path("/proc/self/mountinfo")
NETWORK = ("nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "fuse.sshfs", "fuse.glusterfs", "afs")
VOLATILE = ("tmpfs", "ramfs", "overlay")
GIGABYTE = 1e9

ABSENT = Ailment(
    "disk.absent",
    Level.WARNING,
    "{folder} (storage.folder) is not there yet",
    "the first start makes it; if it was there before, mount its disk",
)
UNWRITABLE = Ailment(
    "disk.unwritable",
    Level.FAULT,
    "{folder} (storage.folder) cannot be written ({error})",
    "let the user that runs the node own it: chown -R USER {folder}",
)
UNSYNCED = Ailment(
    "disk.unsynced",
    Level.FAULT,
    "what is written in {folder} cannot be forced to the disk ({error})",
    "move storage.folder to a file system with fsync, as ext4 or XFS on a local disk",
)
FULL = Ailment(
    "disk.full",
    Level.FAULT,
    "{free:.1f} GB are free in {folder}, the reserve is {reserve:.1f} GB: no image is accepted",
    "free some space, set retention.keep_days, or lower storage.reserve_bytes",
)
ON_NETWORK = Ailment(
    "disk.network",
    Level.FAULT,
    "{folder} is on {kind}: SQLite is not safe on a network file system",
    "move storage.folder to a local disk, or name a PostgreSQL server in storage.database_url",
)
IN_MEMORY = Ailment(
    "disk.volatile",
    Level.WARNING,
    "{folder} is on {kind}: it is gone with the memory or the container that holds it",
    "move storage.folder to a disk, or to a volume that outlives the container",
)
EXPOSED = Ailment(
    "disk.exposed",
    Level.WARNING,
    "other users of this machine may look into {folder}, where images are",
    "chmod 700 {folder}",
)


def look(settings: Settings) -> Iterator[Finding]:
    """Look at the folder as the node would use it."""
    folder = settings.storage.folder.resolve()
    if not folder.is_dir():
        yield ABSENT.found(folder=folder)
        return
    if folder.stat().st_mode & FOR_OTHERS:
        yield EXPOSED.found(folder=folder)
    kind = file_system_of(folder)
    if kind in NETWORK and settings.storage.database_url is None:
        yield ON_NETWORK.found(folder=folder, kind=kind)
    if kind in VOLATILE:
        yield IN_MEMORY.found(folder=folder, kind=kind)
    free, reserve = shutil.disk_usage(folder).free, settings.storage.reserve_bytes
    if free < reserve:
        yield FULL.found(folder=folder, free=free / GIGABYTE, reserve=reserve / GIGABYTE)
    fault = _fault_of_writing(folder)
    if fault is not None:
        yield fault
    yield CHECK.well(f"{folder}: {free / GIGABYTE:.1f} GB are free, on {kind or 'a disk'}")


def _fault_of_writing(folder: Path) -> Finding | None:
    """Write a file as custody does, and remove it again."""
    path = folder / f".doctor-{uuid.uuid4().hex}"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        return UNWRITABLE.found(folder=folder, error=error.strerror)
    try:
        os.write(descriptor, b"midline")
        os.fsync(descriptor)
    except OSError as error:
        return UNSYNCED.found(folder=folder, error=error.strerror)
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)
    return None


def file_system_of(folder: Path) -> str:
    """Name the kind of file system that a folder is on (proc(5), mountinfo); empty if unknown."""
    best, kind = Path(), ""
    try:
        lines = MOUNTS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    for line in lines:
        before, _, after = line.partition(" - ")
        point = Path(before.split(" ")[4].replace("\\040", " "))
        # the last of several mounts on one point is the one that is seen
        if folder.is_relative_to(point) and len(point.parts) >= len(best.parts):
            best, kind = point, after.split(" ")[0]
    return kind


CHECK = Check(
    "disk",
    "The folder of the node: room, durable writing, file system, and who may look into it.",
    (ABSENT, UNWRITABLE, UNSYNCED, FULL, ON_NETWORK, IN_MEMORY, EXPOSED),
    look,
)
