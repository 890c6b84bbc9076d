"""One attempt to send objects to a receiver: what arrived, what it does not take, and why.

Objects go in the order given, and the first that is not taken ends the attempt: those after it may
refer to it.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

from config.errors import MidlineError, PeerRefusedError, SettingsError
from node.peers import (
    VERIFICATION,
    Caller,
    Peer,
    StoreFile,
    associated,
    contexts_for,
    read_store_file,
    refusal_of,
    send_file,
)
from node.status import Verdict, is_warning, verdict_of

logger = logging.getLogger(__name__)

FEW_ATTEMPTS = 3
"""So often a peer is asked again that rejects a class without saying that it does not know it."""


@dataclass(frozen=True)
class Parcel:
    """An object on its way to one receiver.

    Attributes
    ----------
    delivery_id
        Number of the delivery in the index.
    kind
        ``SEG``, ``SR`` and so on.
    sop_class_uid, sop_instance_uid
        Of the object.
    path
        Its file.
    """

    delivery_id: int
    kind: str
    sop_class_uid: str
    sop_instance_uid: str
    path: Path


@dataclass(frozen=True)
class Refused:
    """One object that the receiver does not take as it is.

    Attributes
    ----------
    parcel
        Which.
    uid
        What it does not take: SOP class or transfer syntax.
    is_final
        Whether that holds for every object of this kind, and not for this one alone.
    answer
        Its answer, in words for the administrator.
    """

    parcel: Parcel
    uid: str
    is_final: bool
    answer: str


@dataclass(frozen=True)
class Sent:
    """How one attempt to send went.

    Attributes
    ----------
    arrived
        Deliveries that the receiver holds now.
    refused
        Objects that it does not take: those after them were not sent, since they may refer to
        what is missing.
    problem
        What stopped the attempt before its end, in words for the administrator; empty if nothing.
    retryable
        Whether the problem may go away: a peer that knows us not may learn to, a lost file stays
        lost.
    held
        Whether it goes away only when somebody changes the setup, here or there.
    pause
        So long the receiver wants to be left alone at least.
    """

    arrived: tuple[int, ...] = ()
    refused: tuple[Refused, ...] = ()
    problem: str = ""
    retryable: bool = True
    held: bool = False
    pause: timedelta = timedelta(0)

    @property
    def complaint(self) -> str:
        """Why something did not arrive; empty if all of it did."""
        return self.problem or "; ".join(dict.fromkeys(each.answer for each in self.refused))


Arrival = Callable[[Parcel], None]
"""Is told at once of each object that arrived, so that a crash sends nothing twice."""


def stopped_by(error: MidlineError) -> Sent:
    """Say what an attempt comes to that an error stopped."""
    held = isinstance(error, PeerRefusedError | SettingsError)
    return Sent(problem=str(error), retryable=held or error.retryable, held=held)


def stopped_at(
    refused: Refused, verdict: Verdict, *, pause: timedelta = timedelta(0)
) -> Sent | None:
    """Say what an attempt comes to at an object that was answered.

    Parameters
    ----------
    refused
        The object and the answer, as it is if the object is not taken.
    verdict
        What the answer means.
    pause
        As the receiver wants it.

    Returns
    -------
    Sent or None
        None if the object arrived, and the next one may follow.
    """
    match verdict:
        case Verdict.DONE:
            return None
        case Verdict.DEAD:
            return Sent(refused=(refused,))
        case Verdict.HOLD:
            return Sent(problem=refused.answer, held=True)
        case Verdict.RETRY:
            return Sent(problem=refused.answer, pause=pause)


@dataclass(frozen=True)
class Sequel:
    """What is to be done on the same association once everything has arrived.

    Attributes
    ----------
    contexts
        Presentation contexts that it needs.
    act
        Does it; raises an error of ours if it has to be done again.
    """

    contexts: tuple[PresentationContext, ...]
    act: Callable[[Association], None]


def proposed_contexts(
    files: Sequence[StoreFile], sequel: Sequel | None = None
) -> list[PresentationContext]:
    """Presentation contexts for a set of files, for what follows, and Verification.

    An association of which nothing is accepted is aborted without a word: a peer that refuses all
    our classes still takes Verification, and then we can tell.
    """
    following = () if sequel is None else sequel.contexts
    return [*contexts_for(files), *following, build_context(VERIFICATION)]


def send_by_dimse(
    parcels: Sequence[Parcel],
    peer: Peer,
    *,
    caller: Caller,
    attempt: int,
    on_arrival: Arrival,
    sequel: Sequel | None = None,
) -> Sent:
    """Make one attempt on one association.

    Parameters
    ----------
    parcels
        In the order of sending; none if only the sequel is due.
    attempt
        Counts from 1; a class that is rejected without a clear reason is asked for a few times.
    sequel
        Follows if everything arrived.
    """
    arrived: list[int] = []

    def note(parcel: Parcel) -> None:
        arrived.append(parcel.delivery_id)
        on_arrival(parcel)

    try:
        files = [read_store_file(each.path) for each in parcels]
        with associated(peer, proposed_contexts(files, sequel), caller=caller) as association:
            refused = _not_negotiated(association, peer, parcels, files)
            if any(not each.is_final for each in refused) and attempt < FEW_ATTEMPTS:
                return Sent(problem=refused[0].answer)
            if refused:
                return Sent(refused=refused)
            stopped = _send(association, peer, parcels, files, note)
            if stopped == Sent() and sequel is not None:
                sequel.act(association)
    except MidlineError as error:
        stopped = stopped_by(error)
    return replace(stopped, arrived=tuple(arrived))


def _send(
    association: Association,
    peer: Peer,
    parcels: Sequence[Parcel],
    files: Sequence[StoreFile],
    note: Arrival,
) -> Sent:
    """Send file after file until one is not taken."""
    for parcel, file in zip(parcels, files, strict=True):
        status = send_file(association, file, peer=peer)
        answer = f"{peer} answered 0x{status:04X}"
        refused = Refused(parcel, file.sop_class_uid, is_final=False, answer=answer)
        stopped = stopped_at(refused, verdict_of(status))
        if stopped is not None:
            return stopped
        if is_warning(status):
            logger.warning("taken with a warning: %s: %s", parcel.kind, answer)
        note(parcel)
    return Sent()


def _not_negotiated(
    association: Association,
    peer: Peer,
    parcels: Sequence[Parcel],
    files: Sequence[StoreFile],
) -> tuple[Refused, ...]:
    """List the objects for which the association has no presentation context."""
    found = []
    for parcel, file in zip(parcels, files, strict=True):
        refusal = refusal_of(association, file, peer=peer)
        if refusal is not None:
            found.append(Refused(parcel, refusal.uid, refusal.is_final, refusal.answer))
    return tuple(found)
