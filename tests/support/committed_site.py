"""A node whose results are to be committed to: a finished job, a listener, and a deliverer."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from config.settings import LivenessSettings, Settings
from ml.checkpoint import Thresholds
from ml.volume import Subtype
from node.caller import caller_of
from node.commitment.answers import Answers
from node.custody import Stores
from node.delivery import Courier
from node.engine import Queues, run_deliverer
from node.listener import start_server
from node.peers import Peer
from node.steps import Deliverer
from node.workplace import Workplace
from storage.database import Database
from storage.files import FileStore
from storage.records import CommitmentState
from tests.integration.test_delivery import Site
from tests.support.databases import url_in
from tests.support.destinations import settings_for
from tests.support.pacs import free_port
from tests.support.result_inputs import MODEL, NODE


class CommittedSite(Site):
    """A node with a finished job, and a listener that takes reports."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.database = Database(url_in(folder))
        self.files = FileStore(folder / "files", reserve_bytes=0)
        self.queues = Queues(self.database.engine)
        self.settings, self.job_id = settings, 1
        self.place = Workplace(
            "test",
            self.database,
            self.files,
            self.queues,
            settings.receivers,
            NODE,
            MODEL,
            Thresholds(0.3, 0.6, {subtype.name: 0.5 for subtype in Subtype}),
        )
        self.courier = Courier(self.place, settings, caller_of(settings))
        self.peer = Peer("MIDLINE", "127.0.0.1", settings.node.port)
        self.answers = Answers(self.database, self.queues, settings)

    def commitments(self) -> list[CommitmentState]:
        return [delivery.commitment for delivery in self.deliveries()]

    def errors(self) -> str:
        return " ".join(delivery.commitment_error or "" for delivery in self.deliveries())

    def are_all(self, state: CommitmentState) -> bool:
        return set(self.commitments()) == {state}

    def workflows(self) -> list[str]:
        with self.database.engine.connect() as connection:
            rows = connection.exec_driver_sql("SELECT workflow_uuid FROM workflow_status")
            return sorted(str(row[0]) for row in rows)

    def num_attempts_waiting(self) -> int:
        return sum(name.startswith("deliver:") for name in self.workflows())

    def look(self, number: int = 1) -> None:
        """Look for the answer to a request as if its time had passed."""
        self.answers.look(number)

    @contextmanager
    def listening(self) -> Iterator[None]:
        stores = Stores(self.database, self.files, self.queues, max_instance_bytes=1 << 26)
        server = start_server(self.settings, stores)
        yield
        server.shutdown()

    @contextmanager
    def delivering(self, name: str) -> Iterator[None]:
        """Run a deliverer as the engine does; it ends at once, whatever waits."""
        stop = threading.Event()
        steps = Deliverer(self.place, self.settings, caller_of(self.settings))
        thread = threading.Thread(
            target=run_deliverer,
            args=(self.database, steps),
            kwargs={
                "executor_id": name,
                "slots": 2,
                "liveness": LivenessSettings(beat_seconds=0.1, dead_after_seconds=1.0),
                "stop": stop,
            },
        )
        thread.start()
        yield
        stop.set()
        thread.join()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a node with one finished job, to be copied: making it takes its time."""
    folder = tmp_path_factory.mktemp("finished")
    Site(folder, settings_for(Peer("PACS", "127.0.0.1", 104))).close()
    return folder


Maker = Callable[..., CommittedSite]


@pytest.fixture
def site(tmp_path: Path, finished: Path) -> Iterator[Maker]:
    folder = shutil.copytree(finished, tmp_path / "node")
    url_in(folder, like=finished)
    with ExitStack() as stack:

        def make(
            peer: Peer, commitment: str = "AUTO", *, wait: float = 10.0, **sections: Any
        ) -> CommittedSite:
            described = {
                "name": "pacs",
                "ae_title": peer.ae_title,
                "host": peer.host,
                "port": peer.port,
                "commitment": commitment,
            }
            times = {"wait_on_association_seconds": wait, **sections.pop("times", {})}
            settings = Settings.model_validate(
                {
                    "node": {"port": free_port()},
                    "commitment": times,
                    "destinations": [described],
                    **sections,
                }
            )
            made = CommittedSite(folder, settings)
            stack.callback(made.close)
            return made

        yield make
