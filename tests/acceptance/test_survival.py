"""Kill any process at any moment: every study still ends in exactly one current report.

``MIDLINE_STORM_STUDIES`` and ``MIDLINE_STORM_KILLS`` (kills of each role) make it larger; the
defaults keep it short enough for every run.
"""

import os
import random
import signal
import threading
import time
from collections import defaultdict
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from config.errors import PeerError
from node.peers import Peer
from tests.support.ct_series import head_series, stack
from tests.support.pacs import Pacs, running_pacs
from tests.support.sender import store
from tests.support.service import Service, running_service, start_service
from tests.support.waiting import eventually

NUM_STUDIES = int(os.environ.get("MIDLINE_STORM_STUDIES", "4"))
NUM_KILLS = int(os.environ.get("MIDLINE_STORM_KILLS", "1"))
ROLES = ("listen", "analyse", "deliver", "serve")
SECONDS = 300.0 + 30.0 * NUM_STUDIES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2 * SECONDS)]


def study(number: int) -> list[Dataset]:
    """Make a small head CT of a patient of its own."""
    return head_series(stack(), name=f"storm{number}")


def insist(peer: Peer, images: list[Dataset]) -> None:
    """Send as a modality does: again and again, until every image was answered with Success."""
    left = images
    until = time.monotonic() + SECONDS
    while left:
        assert time.monotonic() < until, "the node never took the study"
        try:
            statuses = store(peer, left)
        except (PeerError, AttributeError, RuntimeError, ValueError):
            time.sleep(0.2)  # the node is down: a modality waits, too
            continue
        left = [image for image, status in zip(left, statuses, strict=True) if status != 0]


class Storm:
    """Kills each role at random moments while studies go through."""

    def __init__(self, service: Service, log: Path, *, seed: int) -> None:
        self.service, self._log = service, log
        self._chance = random.Random(seed)
        self.kills: dict[str, int] = defaultdict(int)

    def blow(self) -> None:
        """Kill every role as often as wanted, in random order, at random moments."""
        victims = [role for role in ROLES for _ in range(NUM_KILLS)]
        self._chance.shuffle(victims)
        for role in victims:
            time.sleep(self._chance.uniform(0.1, 2.0))
            self._kill(role)

    def _kill(self, role: str) -> None:
        if role == "serve":
            self.service.process.kill()
            self.service.process.wait()
            self.service = start_service(self.service.config, self.service.peer, self._log)
        else:
            pid = eventually(lambda: self._pid(role), seconds=60)
            os.kill(pid, signal.SIGKILL)
        self.kills[role] += 1

    def _pid(self, role: str) -> int | None:
        return next((pid for pid, name in self.service.children().items() if name == role), None)


def current_reports(pacs: Pacs) -> dict[str, set[str]]:
    """SOP Instance UIDs of the reports that no later report replaces, by study."""
    reports: dict[str, set[str]] = defaultdict(set)
    replaced: set[str] = set()
    for report in list(pacs.of_modality("SR")):
        reports[report.StudyInstanceUID].add(report.SOPInstanceUID)
        for item in report.get("PredecessorDocumentsSequence", []):
            for series in item.ReferencedSeriesSequence:
                replaced |= {sop.ReferencedSOPInstanceUID for sop in series.ReferencedSOPSequence}
    return {study_uid: uids - replaced for study_uid, uids in reports.items()}


def test_killing_each_process_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    studies = [study(number) for number in range(NUM_STUDIES)]
    wanted = {images[0].StudyInstanceUID for images in studies}
    with running_pacs() as pacs, running_service(tmp_path, pacs.peer) as service:
        storm = Storm(service, tmp_path / "node.log", seed=NUM_STUDIES)
        sender = threading.Thread(
            target=lambda: [insist(service.peer, images) for images in studies]
        )
        sender.start()
        storm.blow()
        sender.join(SECONDS)
        eventually(lambda: set(current_reports(pacs)) >= wanted, seconds=SECONDS)
        service.process = storm.service.process
        eventually(lambda: is_idle(service), seconds=60)
        reports = current_reports(pacs)
    assert storm.kills == dict.fromkeys(ROLES, NUM_KILLS)
    assert set(reports) == wanted
    assert {study_uid: len(uids) for study_uid, uids in reports.items()} == dict.fromkeys(wanted, 1)


def is_idle(service: Service) -> bool:
    """Whether nothing waits, runs, or is on its way."""
    status = service.command("status")
    jobs = status["jobs"]
    waiting = sum(destination["num_pending"] for destination in status["destinations"])
    return jobs["QUEUED"] == jobs["RUNNING"] == waiting == status["studies"]["RECEIVING"] == 0
