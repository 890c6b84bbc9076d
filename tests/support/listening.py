"""A listener without its sweep, with the settings that a test needs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from config.settings import NodeSettings, Settings
from node.custody import Stores
from node.engine import Queues
from node.hardening import HardServer
from node.listener import start_server
from node.peers import Peer
from storage.database import Database
from storage.files import FileStore
from storage.records import StudyRecord
from tests.support.databases import url_in
from tests.support.pacs import free_port


@dataclass(frozen=True)
class Listening:
    """A listener that runs."""

    peer: Peer
    stores: Stores
    server: HardServer
    folder: Path

    def study(self, study_instance_uid: str) -> StudyRecord | None:
        with self.stores.database.read() as transaction:
            return transaction.studies.find(study_instance_uid)

    def kept(self) -> list[Path]:
        """Files that were received and kept."""
        return list(self.folder.rglob("files/received/*/*"))


@contextmanager
def listening(folder: Path, *, node: dict[str, object], **sections: object) -> Iterator[Listening]:
    """Run a listener on a free port of this machine.

    Parameters
    ----------
    folder
        Of its index and files.
    node
        Settings of its section ``[node]``.
    sections
        Other sections.
    """
    port = free_port()
    section = NodeSettings.model_validate({"port": port, "max_instance_bytes": 1 << 20} | node)
    settings = Settings.model_validate({"node": section} | sections)
    database = Database(url_in(folder))
    stores = Stores(
        database=database,
        files=FileStore(folder / "files", reserve_bytes=0),
        queues=Queues(database.engine),
        max_instance_bytes=section.max_instance_bytes,
    )
    server = start_server(settings, stores)
    peer = Peer(section.ae_title, "127.0.0.1", port, tls=section.tls)
    yield Listening(peer, stores, server, folder)
    server.shutdown()
    stores.queues.close()
    database.close()
