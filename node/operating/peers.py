"""Whom the settings have the node call, and what destinations get and have refused."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from config.settings import (
    DestinationSettings,
    EventReportSettings,
    QuerySettings,
    Settings,
    WebDestinationSettings,
)
from node.results.forms import forms_of
from storage.database import Transaction
from storage.records import RefusalRecord

Callee = DestinationSettings | WebDestinationSettings | QuerySettings | EventReportSettings
"""Where the settings say how a peer is called."""


class PeerKind(StrEnum):
    """What a peer is to the node."""

    DESTINATION = "destination"
    """It gets results by C-STORE."""
    WEB_DESTINATION = "web destination"
    """It gets results by STOW-RS."""
    QUERY = "query"
    """It answers what it holds of a study."""
    EVENT_REPORTS = "event reports"
    """It is told what the node commits to."""


@dataclass(frozen=True)
class KnownPeer:
    """A peer of the settings.

    Attributes
    ----------
    name
        Of a destination; of a sender, its AE title.
    kind
        What it is to the node; the same name may be several things.
    address
        Where it is.
    """

    name: str
    kind: PeerKind
    address: str


@dataclass(frozen=True)
class ListedPeer(KnownPeer):
    """A peer, and what it gets.

    Attributes
    ----------
    wanted, gets
        In which forms a destination is to get results, and gets them after what it refused; None
        if it gets none.
    """

    wanted: str | None
    gets: str | None


@dataclass(frozen=True)
class PeerList:
    """All peers, and what destinations do not take.

    Attributes
    ----------
    peers
        In the order of the settings.
    refusals
        What was refused; remembered until somebody has it forgotten.
    """

    peers: tuple[ListedPeer, ...]
    refusals: tuple[RefusalRecord, ...]


def known_peers(settings: Settings) -> Iterator[tuple[KnownPeer, Callee]]:
    """Go through the peers that the node calls, with how each is called."""
    for receiver in settings.receivers:
        match receiver:
            case DestinationSettings():
                yield KnownPeer(receiver.name, PeerKind.DESTINATION, receiver.address), receiver
            case WebDestinationSettings():
                yield KnownPeer(receiver.name, PeerKind.WEB_DESTINATION, receiver.address), receiver
    for sender in settings.senders:
        if sender.query is not None:
            where = f"{sender.query.ae_title}@{sender.query.host}:{sender.query.port}"
            yield KnownPeer(sender.ae_title, PeerKind.QUERY, where), sender.query
        if sender.event_reports is not None:
            place = sender.event_reports
            where = f"{sender.ae_title}@{place.host}:{place.port}"
            yield KnownPeer(sender.ae_title, PeerKind.EVENT_REPORTS, where), place


def list_peers(transaction: Transaction, settings: Settings) -> PeerList:
    """List the peers with what destinations get now."""
    wanted = {each.name: str(forms_of(each)) for each in settings.receivers}
    gets = {
        each.name: str(forms_of(each, transaction.refusals.of(each.name)))
        for each in settings.receivers
    }
    get_results = (PeerKind.DESTINATION, PeerKind.WEB_DESTINATION)
    return PeerList(
        tuple(
            ListedPeer(
                peer.name,
                peer.kind,
                peer.address,
                wanted=wanted[peer.name] if peer.kind in get_results else None,
                gets=gets[peer.name] if peer.kind in get_results else None,
            )
            for peer, _ in known_peers(settings)
        ),
        transaction.refusals.list(),
    )
