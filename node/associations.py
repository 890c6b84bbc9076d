"""Which associations are open, who sends which studies on them, and which studies they end for.

All of it is of this process: what has to survive a restart is in `storage.arrivals`.
"""

import threading
from collections import Counter
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from pynetdicom.association import Association

from node.audit import events
from node.audit.messages import NODE, Participant

Instances = dict[int, Counter[str]]
"""For each study, how many instances of each SOP class."""


@dataclass
class _Open:
    """What is known of an open association."""

    caller: Participant
    instances: Instances = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """What an association leaves behind.

    Attributes
    ----------
    caller
        Who opened it.
    instances
        What it sent.
    idle_studies
        Numbers of those studies that no other open association has sent images of.
    """

    caller: Participant = NODE
    instances: Instances = field(default_factory=dict)
    idle_studies: frozenset[int] = frozenset()

    @property
    def studies(self) -> frozenset[int]:
        """Numbers of the studies that it sent images of."""
        return frozenset(self.instances)


def caller_of(association: Association) -> Participant:
    """Name who opened an association, as the audit trail does."""
    request = association.requestor.primitive
    title = "" if request is None else request.calling_ae_title.strip()
    return events.peer(title, str(association.remote["address"] or ""))


class OpenAssociations:
    """Associations that were let in: their ends are evidence of completeness."""

    def __init__(self) -> None:
        self._open: dict[Association, _Open] = {}
        self._lock = threading.Lock()
        self._announced: SimpleQueue[frozenset[int]] = SimpleQueue()

    def begin(self, association: Association) -> None:
        """Remember who opened an association."""
        caller = caller_of(association)
        with self._lock:
            self._open[association] = _Open(caller)

    def note(self, association: Association, study_id: int, sop_class_uid: str) -> None:
        """Remember that an association sent an image of a study."""
        with self._lock:
            known = self._open.get(association)
            if known is not None:
                known.instances.setdefault(study_id, Counter())[sop_class_uid] += 1

    def end(self, association: Association) -> Ended:
        """Forget an association; nothing if it has ended before."""
        with self._lock:
            known = self._open.pop(association, None)
            if known is None:
                return Ended()
            others = {study for each in self._open.values() for study in each.instances}
        return Ended(known.caller, known.instances, frozenset(known.instances) - others)

    def lost(self) -> tuple[Association, ...]:
        """List those whose thread is gone although nobody said that they ended."""
        with self._lock:
            return tuple(each for each in self._open if not each.is_alive())

    def is_calling(self, ae_title: str) -> bool:
        """Whether an application entity has an association open: it may still send."""
        with self._lock:
            return any(each.caller.ae_title == ae_title for each in self._open.values())

    def announce(self, study_ids: frozenset[int]) -> None:
        """Have studies looked at, at once."""
        self._announced.put(study_ids)

    def announced(self, *, wait_seconds: float) -> frozenset[int]:
        """Take the studies that were announced; waits so long for the first."""
        taken: set[int] = set()
        try:
            taken |= self._announced.get(timeout=wait_seconds)
            while True:
                taken |= self._announced.get_nowait()
        except Empty:
            return frozenset(taken)
