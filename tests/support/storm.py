"""Studies that are sent to several hosts while their processes are killed, and what came of it."""

import random
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydicom.dataset import Dataset

from config.errors import PeerError
from node.peers import Peer
from node.status import StoreStatus
from tests.support.ct_series import even_heights, head_series, stack
from tests.support.hosts import Site
from tests.support.ledger import notes
from tests.support.pacs import Pacs
from tests.support.sender import store
from tests.support.waiting import eventually

PAUSE_SECONDS = 0.2
JUST_NOW_SECONDS = 0.3
NOBODY_ANSWERS = (PeerError, AttributeError, RuntimeError, ValueError)
"""What a sender sees of a listener that is killed, or not there."""


def small_study(name: str) -> list[Dataset]:
    """Make a head CT of few slices, of a patient of its own."""
    return head_series(stack(even_heights(18, 10.0), size=32, pixel_mm=7.2), name=name)


def insist(peers: Sequence[Peer], images: list[Dataset], *, seconds: float) -> None:
    """Send as a modality with several archives does, until every image was taken with Success."""
    left, turn, until = images, 0, time.monotonic() + seconds
    while left:
        assert time.monotonic() < until, "no listener ever took the study"
        try:
            statuses = store(peers[turn % len(peers)], left)
        except NOBODY_ANSWERS:
            statuses = []
        taken = [status == StoreStatus.SUCCESS for status in statuses]
        left = (
            [image for image, done in zip(left, taken, strict=True) if not done] if taken else left
        )
        if left:
            turn += 1
            time.sleep(PAUSE_SECONDS)


@dataclass
class Arrivals:
    """What a PACS got, and when: to be its `answer`."""

    at: list[tuple[float, str, bytes]] = field(default_factory=list)

    def __call__(self, ds: Dataset) -> int:
        """Take an object; note the time before the sender can know."""
        self.at.append((time.monotonic(), str(ds.SOPInstanceUID), ds.to_json().encode()))
        return StoreStatus.SUCCESS

    def repetitions(self) -> list[tuple[float, float, bool]]:
        """Objects that came again: when they had come, when they came again, and if unchanged."""
        last: dict[str, tuple[float, bytes]] = {}
        found = []
        for at, sop_instance_uid, content in self.at:
            if sop_instance_uid in last:
                before, known = last[sop_instance_uid]
                found.append((before, at, content == known))
            last[sop_instance_uid] = at, content
        return found


@dataclass(frozen=True)
class Death:
    """A kill of a process, or of a whole host: when it was begun, and when it was done."""

    since: float
    until: float
    name: str
    role: str


@dataclass
class Storm:
    """Kills processes of the hosts at random moments, and whole hosts among them.

    Attributes
    ----------
    deaths
        What was killed; of a role or a ``host``.
    """

    site: Site
    chance: random.Random
    deaths: list[Death] = field(default_factory=list)

    def blow(self, num_kills: int, *, longest_pause_seconds: float) -> None:
        """Kill every role and whole hosts in turn, in random order.

        Analysers and hosts are killed while they compute.
        """
        victims = [("analyse", "host", "deliver", "listen")[n % 4] for n in range(num_kills)]
        self.chance.shuffle(victims)
        for role in victims:
            time.sleep(self.chance.uniform(0.1, longest_pause_seconds))
            name = self.chance.choice(sorted(self.site.hosts))
            if role in ("analyse", "host"):
                name = eventually(self._computing, seconds=60)
            self.kill(name, role)

    def _computing(self) -> str | None:
        """Name a host that computes at this moment."""
        just_now = time.monotonic() - JUST_NOW_SECONDS
        found = {n.host for n in notes(self.site.folder) if n.mark == "at" and n.at > just_now}
        return self.chance.choice(sorted(found)) if found else None

    def kill(self, name: str, role: str) -> None:
        """Kill a process of a role, or a whole host, which is started again."""
        host, since = self.site.hosts[name], time.monotonic()
        if role == "host":
            host.die()
        else:
            host.kill(role)
        self.deaths.append(Death(since, time.monotonic(), name, role))
        if role == "host":
            host.start()


def send_all(site: Site, studies: list[list[Dataset]], *, seconds: float) -> threading.Thread:
    """Send studies in a thread, each to another host first."""
    peers = [host.peer for host in site.hosts.values()]

    def send() -> None:
        for number, images in enumerate(studies):
            turned = peers[number % len(peers) :] + peers[: number % len(peers)]
            insist(turned, images, seconds=seconds)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


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


def wait_for_reports(pacs: Pacs, studies: list[list[Dataset]], *, seconds: float) -> None:
    """Wait until each study has a report."""
    wanted = {images[0].StudyInstanceUID for images in studies}
    eventually(lambda: set(current_reports(pacs)) >= wanted, seconds=seconds)
