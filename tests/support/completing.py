"""A listener that completes studies, as it runs in its process: in a thread of the test."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from config.settings import Settings
from node.custody import Stores
from node.engine import Queues
from node.listener import listen
from node.peers import Peer
from storage.database import Database
from storage.files import FileStore
from storage.records import CompleteStudy, JobRecord, StudyRecord
from tests.support.databases import url_in
from tests.support.pacs import free_port
from tests.support.waiting import eventually, port_is_open

MOST_JOBS = 10_000


@dataclass(frozen=True)
class Completing:
    """A listener that runs, and what it knows."""

    peer: Peer
    stores: Stores

    def study(self, study_instance_uid: str) -> StudyRecord | None:
        with self.stores.database.read() as transaction:
            return transaction.studies.find(study_instance_uid)

    def jobs(self, study_instance_uid: str) -> list[JobRecord]:
        """Jobs of a study, the first generation first."""
        with self.stores.database.read() as transaction:
            jobs = transaction.jobs.list(limit=MOST_JOBS)
        return sorted(
            (job for job in jobs if job.study_instance_uid == study_instance_uid),
            key=lambda job: job.generation,
        )

    def completed(self, study_instance_uid: str, *, generation: int = 1) -> CompleteStudy:
        """Wait until a generation of a study is complete."""

        def look() -> CompleteStudy | None:
            with self.stores.database.read() as transaction:
                study = transaction.studies.find(study_instance_uid)
                if study is None:
                    return None
                return transaction.studies.read_complete(study.id, generation)

        found = eventually(look)
        assert found is not None
        return found


@contextmanager
def completing(
    folder: Path, *, completion: Mapping[str, object], **sections: object
) -> Iterator[Completing]:
    """Run a listener with its sweep on a free port of this machine.

    Parameters
    ----------
    folder
        Of its index and files.
    completion
        Settings of its section ``[completion]``.
    sections
        Other sections; several listeners can share the folder.
    """
    given = {"node": {"port": free_port()}, "completion": dict(completion)}
    settings = Settings.model_validate(given | sections)
    database = Database(url_in(folder))
    stores = Stores(
        database=database,
        files=FileStore(folder / "files", reserve_bytes=0),
        queues=Queues(database.engine),
        max_instance_bytes=settings.node.max_instance_bytes,
    )
    stop = threading.Event()
    thread = threading.Thread(target=listen, args=(settings, stores, stop))
    thread.start()
    try:
        eventually(lambda: port_is_open(settings.node.port))
        yield Completing(Peer(settings.node.ae_title, "127.0.0.1", settings.node.port), stores)
    finally:
        stop.set()
        thread.join(timeout=30)
        stores.queues.close()
        database.close()
