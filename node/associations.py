"""Which associations are open, who sends which studies on them, and which studies they end for.

All of it is of this process: what has to survive a restart is in `storage.arrivals`.
"""

import threading
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from pynetdicom.association import Association


@dataclass
class _Open:
    """What is known of an open association."""

    ae_title: str
    studies: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Ended:
    """What an association leaves behind.

    Attributes
    ----------
    studies
        Numbers of the studies that it sent images of.
    idle_studies
        Those of them that no other open association has sent images of.
    """

    studies: frozenset[int] = frozenset()
    idle_studies: frozenset[int] = frozenset()


class OpenAssociations:
    """Associations that were let in: their ends are evidence of completeness."""

    def __init__(self) -> None:
        self._open: dict[Association, _Open] = {}
        self._lock = threading.Lock()
        self._announced: SimpleQueue[frozenset[int]] = SimpleQueue()

    def begin(self, association: Association) -> None:
        """Remember who opened an association."""
        ae_title = str(association.requestor.ae_title).strip()
        with self._lock:
            self._open[association] = _Open(ae_title)

    def note(self, association: Association, study_id: int) -> None:
        """Remember that an association sent an image of a study."""
        with self._lock:
            known = self._open.get(association)
            if known is not None:
                known.studies.add(study_id)

    def end(self, association: Association) -> Ended:
        """Forget an association; nothing if it has ended before."""
        with self._lock:
            known = self._open.pop(association, None)
            if known is None:
                return Ended()
            others = {study for each in self._open.values() for study in each.studies}
        return Ended(frozenset(known.studies), frozenset(known.studies - others))

    def lost(self) -> tuple[Association, ...]:
        """List those whose thread is gone although nobody said that they ended."""
        with self._lock:
            return tuple(each for each in self._open if not each.is_alive())

    def is_calling(self, ae_title: str) -> bool:
        """Whether an application entity has an association open: it may still send."""
        with self._lock:
            return any(each.ae_title == ae_title for each in self._open.values())

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
