"""Which associations this listener has open, and who sends which studies on them.

All of it is of this process. What other listeners have to know is in `storage.associations`, and
what has to survive a restart in `storage.arrivals`.
"""

import threading
import uuid
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

    id: str
    caller: Participant
    instances: Instances = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """What an association leaves behind.

    Attributes
    ----------
    id
        By which all listeners know it; empty if it was not open.
    caller
        Who opened it.
    instances
        What it sent.
    """

    id: str = ""
    caller: Participant = NODE
    instances: Instances = field(default_factory=dict)

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
    """Associations that were let in: their ends are evidence of completeness.

    Parameters
    ----------
    listener
        Under which this process gives signs of life.
    """

    def __init__(self, listener: str = "") -> None:
        self.listener = listener
        self._open: dict[Association, _Open] = {}
        self._ending: set[str] = set()
        self._lock = threading.Lock()
        self._announced: SimpleQueue[frozenset[int]] = SimpleQueue()

    @property
    def ids(self) -> frozenset[str]:
        """By which all listeners know those that are open, or whose end is not recorded yet."""
        with self._lock:
            return frozenset(each.id for each in self._open.values()) | self._ending

    def begin(self, association: Association) -> str:
        """Remember who opened an association; gives it its name for all listeners."""
        known = _Open(str(uuid.uuid4()), caller_of(association))
        with self._lock:
            self._open[association] = known
        return known.id

    def note(self, association: Association, study_id: int, sop_class_uid: str) -> str:
        """Remember that an association sent an image of a study.

        Returns
        -------
        str
            Its name if it is the first of this study; otherwise nothing.
        """
        with self._lock:
            known = self._open.get(association)
            if known is None:
                return ""
            is_first = study_id not in known.instances
            known.instances.setdefault(study_id, Counter())[sop_class_uid] += 1
        return known.id if is_first else ""

    def end(self, association: Association) -> Ended:
        """Forget an association; nothing if it has ended before. Its end is to be recorded next."""
        with self._lock:
            known = self._open.pop(association, None)
            if known is not None:
                self._ending.add(known.id)
        return Ended() if known is None else Ended(known.id, known.caller, known.instances)

    def recorded(self, association_id: str) -> None:
        """Forget the name of an association too: its end is recorded, or will never be."""
        with self._lock:
            self._ending.discard(association_id)

    def lost(self) -> tuple[Association, ...]:
        """List those whose thread is gone although nobody said that they ended."""
        with self._lock:
            return tuple(each for each in self._open if not each.is_alive())

    def is_calling(self, ae_title: str) -> bool:
        """Whether an application entity has an association open here: it may still send."""
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
