"""One host of a node, for tests: ``midline serve`` under a host's name, with a quick analysis.

``python -m tests.support.host NAME SETTINGS ROLE``; the role ``serve`` starts the others. An
analysis takes as long as the file ``seconds`` beside the settings' folder says; every step notes
in the folder ``ledger`` there that it works, and for whom: so a test can tell from the record who
did what, and when. The clock is that of the machine, which all hosts of a test are on.
"""

import contextvars
import faulthandler
import json
import signal
import socket
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from config.settings import Settings
from ml.checkpoint import card_path, read_card
from ml.inference import Prediction
from ml.plane import Alignment
from ml.volume import Mask, Subtype, Volume
from node import cli, roles, supervisor
from node.engine import Json
from node.steps import Analyst, Deliverer
from tests.support.ledger import LEDGER, SECONDS

MARK_SECONDS = 0.05
_job: contextvars.ContextVar[int] = contextvars.ContextVar("job")


class Ledger:
    """What this life of this process notes."""

    def __init__(self, folder: Path, host: str) -> None:
        self._folder, self._host, self._life = folder, host, uuid.uuid4().hex[:8]

    @property
    def seconds(self) -> float:
        """How long an analysis is to take."""
        return float((self._folder / SECONDS).read_text())

    def note(self, job_id: int, step: str, mark: str) -> None:
        """Note that this life is at work on a job."""
        line = {"at": time.monotonic(), "host": self._host, "life": self._life}
        line |= {"job_id": job_id, "step": step, "mark": mark}
        with (self._folder / LEDGER / f"{self._life}.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    @contextmanager
    def noted(self, job_id: int, step: str) -> Iterator[None]:
        """Note begin and end of a step; an end by an error is one too."""
        self.note(job_id, step, "begin")
        try:
            yield
        finally:
            self.note(job_id, step, "end")


class Quick:
    """A segmenter that finds nothing, and takes its time for it."""

    device = "cpu"

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self.card = read_card(card_path(roles.weights_path(settings)))
        self._ledger = ledger

    def align(self, volume: Volume) -> Volume:
        return volume

    def segment_aligned(self, volume: Volume) -> Prediction:
        until = time.monotonic() + self._ledger.seconds
        while time.monotonic() < until:
            time.sleep(MARK_SECONDS)
            self._ledger.note(_job.get(), "segment", "at")
        grid = volume.grid
        mask = Mask(np.zeros(grid.shape, np.uint8), grid)
        upright = Alignment(0.0, np.zeros(grid.shape[0]), grid.slice_origins_mm)
        return Prediction(mask, dict.fromkeys(Subtype, 0.0), 0.0, upright)


class NotedAnalyst(Analyst):
    """The steps of an analyser, with notes."""

    ledger: Ledger

    def segment(self, job_id: int) -> Json:
        _job.set(job_id)
        with self.ledger.noted(job_id, "segment"):
            return super().segment(job_id)

    def encode(self, job_id: int, segmented: Json) -> Json:
        with self.ledger.noted(job_id, "encode"):
            return super().encode(job_id, segmented)

    def record(self, job_id: int, encoded: Json) -> None:
        with self.ledger.noted(job_id, "record"):
            super().record(job_id, encoded)


class NotedDeliverer(Deliverer):
    """The steps of a deliverer, with notes."""

    ledger: Ledger

    def send(self, job_id: int, destination: str, attempt: int, opened_ms: int) -> None:
        with self.ledger.noted(job_id, "send"):
            super().send(job_id, destination, attempt, opened_ms)


def main() -> None:
    """Run one role of a host, or all of them, as the command line does."""
    name, config, role = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    socket.gethostname = lambda: name
    faulthandler.register(signal.SIGUSR1)  # says what it waits for
    program = [sys.executable, "-m", "tests.support.host", name, str(config)]
    supervisor.command = lambda role, _: [*program, role]
    if role != "serve":
        ledger = Ledger(config.parent.parent, name)
        NotedAnalyst.ledger = NotedDeliverer.ledger = ledger
        roles.load_segmenter = lambda settings: Quick(settings, ledger)
        roles.Analyst, roles.Deliverer = NotedAnalyst, NotedDeliverer
    supervised = [] if role == "serve" else ["--supervised"]
    sys.argv = ["midline", "--config", str(config), role, *supervised]
    cli.main()


if __name__ == "__main__":
    main()
