"""What makes each ailment of ``midline doctor`` be there, once."""

import errno
import os
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from pydicom.uid import RLELossless

from config.example import as_toml
from ml import weights
from ml.readers import samples
from node.doctor import Check, disk, examination, model
from node.engine import migrate
from storage.database import Database, Transaction
from storage.migrations import configuration
from storage.records import NewWorker
from tests.support.certificates import make_certificates
from tests.support.pacs import free_port
from tests.support.received import queued_job

HOUR = timedelta(hours=1)
DESTINATION = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 1}


@dataclass
class Site:
    """An installation that can be spoilt.

    Attributes
    ----------
    folder
        For everything.
    tables
        Of its settings file.
    patch, stack
        Undo what was done.
    """

    folder: Path
    patch: pytest.MonkeyPatch
    stack: ExitStack
    tables: dict[str, Any] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def path(self) -> Path:
        """Write the settings file."""
        lines = []
        for name, values in self.tables.items():
            many = values if isinstance(values, list) else [values]
            for each in many:
                lines.append(f"[[{name}]]" if isinstance(values, list) else f"[{name}]")
                lines += [f"{key} = {as_toml(value)}" for key, value in each.items()]
        path = self.folder / "site.toml"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def set(self, name: str, **values: object) -> None:
        self.tables.setdefault(name, {}).update(values)

    @contextmanager
    def database(self) -> Iterator[Database]:
        """Open the index; it is made if it is not there."""
        with closing(Database(f"sqlite:///{self.data / 'midline.sqlite'}")) as database:
            database.upgrade()
            migrate(database)
            yield database

    def sql(self, statement: str) -> None:
        with self.database() as database, database.engine.connect() as connection:
            connection.exec_driver_sql(statement)
            connection.commit()

    def beat(self, ago: timedelta) -> None:
        """Have an analyser give its last sign of life."""
        worker = NewWorker("analyse-1", "analyse", "host", os.getpid(), "cpu")
        with self.database() as database, database.begin() as transaction:
            transaction.workers.beat(worker, now=transaction.now() - ago)


def made_site(folder: Path, patch: pytest.MonkeyPatch, stack: ExitStack) -> Site:
    """Make an installation on a disk, with a folder of its own and ports that are free."""
    site = Site(folder, patch, stack)
    site.data.mkdir(mode=0o700)
    site.set("node", port=free_port())
    site.set("page", port=free_port())
    site.set("storage", folder=str(site.data), reserve_bytes=0)
    mounted(site, "ext4")
    return site


def mounted(site: Site, kind: str) -> None:
    """Let the folder be on a file system of this kind."""
    table = site.folder / "mountinfo"
    table.write_text(
        "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        f"23 22 8:2 / {site.folder} rw,relatime shared:1 - {kind} source rw\n",
        encoding="utf-8",
    )
    site.patch.setattr(disk, "MOUNTS", table)


def unchecked(site: Site) -> None:
    def look(_: object) -> list[Any]:
        raise RuntimeError("a text that must not be told")

    check = Check("disk", "It.", (), look)
    site.patch.setattr(examination, "CHECKS", (check,))


def older(site: Site) -> None:
    database = Database(f"sqlite:///{site.data / 'midline.sqlite'}")
    with closing(database), database.engine.connect() as connection:
        command.upgrade(configuration(connection), "0002")
        connection.commit()


def unsound(site: Site) -> None:
    with site.database() as database:
        queued_job(database)
    site.sql("UPDATE study SET num_instances = 99")


def other_clock(site: Site) -> None:
    with site.database():
        now = Transaction.now
        site.patch.setattr(Transaction, "now", lambda self: now(self) - HOUR)


def unsynced(site: Site) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    site.patch.setattr(os, "fsync", refuse)


def taken(site: Site) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    site.stack.callback(listener.close)
    site.set("node", port=listener.getsockname()[1])


def denied(site: Site) -> None:
    class Refusing(socket.socket):
        def bind(self, address: Any) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

    site.patch.setattr(socket, "socket", Refusing)


def copied_weights(site: Site) -> Path:
    source = weights.path_of("sym-transnet-lite")
    copy = site.folder / "copy.safetensors"
    shutil.copy(source, copy)
    shutil.copy(source.with_suffix(".json"), copy.with_suffix(".json"))
    site.set("analysis", weights=str(copy))
    return copy


def altered_weights(site: Site) -> None:
    copy = copied_weights(site)
    content = bytearray(copy.read_bytes())
    content[-1] ^= 1
    copy.write_bytes(content)


def failing_device(site: Site) -> None:
    site.set("analysis", precision="float32")
    site.patch.setattr(model, "choose_device", lambda _: "cuda:0")


def certified(site: Site, name: str, **settings: object) -> None:
    made = make_certificates(site.folder / "certificates")
    tls = made.tls(name)
    files = {key: str(getattr(tls, key)) for key in ("certificate", "private_key", "authorities")}
    site.set("tls", **files, **settings)


def without_access(site: Site) -> None:
    url = "https://127.0.0.1:1/dicom-web"
    site.tables["web_destinations"] = [
        {"name": "cloud", "url": url, "token_file": str(site.folder / "absent")}
    ]


def told_by_webhook(site: Site, file: str) -> None:
    (site.folder / "secret").write_text("A" * 44)
    hook = {"name": "hook", "url": "http://127.0.0.1:1/", "secret_file": str(site.folder / file)}
    site.tables["webhooks"] = [hook]


def waiting(site: Site) -> None:
    with site.database() as database:
        queued_job(database)


PROVOKED: Mapping[str, Callable[[Site], object]] = {
    "settings.faulty": lambda site: site.set("node", prot=104),
    "settings.unchecked": unchecked,
    "database.absent": lambda _: None,
    "database.away": lambda site: (site.data / "midline.sqlite").write_bytes(b"no index" * 999),
    "database.old": older,
    "database.newer": lambda site: site.sql("UPDATE midline_version SET version_num = '9999'"),
    "database.unsound": unsound,
    "clock.differs": other_clock,
    "clock.behind": lambda site: site.beat(-HOUR),
    "disk.absent": lambda site: site.data.rmdir(),
    "disk.unwritable": lambda site: site.set("storage", folder="/proc/self"),
    "disk.unsynced": unsynced,
    "disk.full": lambda site: site.set("storage", reserve_bytes=1 << 60),
    "disk.network": lambda site: mounted(site, "nfs4"),
    "disk.volatile": lambda site: mounted(site, "tmpfs"),
    "disk.exposed": lambda site: site.data.chmod(0o755),
    "ports.taken": taken,
    "ports.denied": denied,
    "ports.elsewhere": lambda site: site.set("page", host="192.0.2.1", plain_off_loopback=True),
    "weights.absent": lambda site: site.set("analysis", weights="/nowhere/w.safetensors"),
    "weights.card": lambda site: copied_weights(site).with_suffix(".json").unlink(),
    "weights.unfit": altered_weights,
    "decoders.absent": lambda site: site.patch.setattr(
        model, "is_available", lambda syntax: syntax != RLELossless
    ),
    "decoders.wrong": lambda site: site.patch.setitem(samples._ENCODED, RLELossless, bytes(64)),
    "device.absent": lambda site: site.set("analysis", device="cuda:77"),
    "device.fails": failing_device,
    "certificates.unusable": lambda site: certified(site, "expired"),
    "certificates.expiring": lambda site: certified(site, "node", warn_days_before_expiry=99_999),
    "certificates.access": without_access,
    "peers.unusable": lambda site: site.tables.update(destinations=[DESTINATION]),
    "peers.nobody": lambda _: None,
    "notifications.access": lambda site: told_by_webhook(site, "absent"),
    "notifications.away": lambda site: told_by_webhook(site, "secret"),
    "workers.silent": lambda site: site.beat(HOUR),
    "workers.none": waiting,
}
