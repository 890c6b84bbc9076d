"""C-ECHO and negotiation against a real SCP."""

from pathlib import Path
from typing import Any

import pytest
from pynetdicom.association import Association

from config.errors import PeerRefusedError, PeerUnavailableError
from node.hardening import HardSocket
from node.peers import Caller, Peer, StoreFile, Timeouts, contexts_for, echo
from tests.support.pacs import SEGMENTATION, free_port, running_pacs
from tests.support.waiting import eventually

TIMEOUTS = Timeouts(connection_seconds=2, acse_seconds=2, dimse_seconds=2, network_seconds=5)
RLE = "1.2.840.10008.1.2.5"
EXPLICIT = "1.2.840.10008.1.2.1"


def test_a_living_peer_answers_an_echo() -> None:
    with running_pacs() as pacs:
        assert 0 < echo(pacs.peer, caller=Caller("MIDLINE", TIMEOUTS)) < 2


def test_a_peer_that_is_down_is_worth_a_retry() -> None:
    nobody = Peer("PACS", "127.0.0.1", free_port())
    with pytest.raises(PeerUnavailableError, match=r"no association with PACS@127\.0\.0\.1"):
        echo(nobody, caller=Caller("MIDLINE", TIMEOUTS))


def test_a_peer_with_another_ae_title_refuses() -> None:
    with running_pacs() as pacs:
        wrong = Peer("OTHER", pacs.peer.host, pacs.peer.port)
        with pytest.raises(PeerRefusedError, match="another AE title"):
            echo(wrong, caller=Caller("MIDLINE", TIMEOUTS))


def test_a_peer_that_does_not_know_us_refuses() -> None:
    with (
        running_pacs(calling_ae_titles=("SOMEBODY",)) as pacs,
        pytest.raises(PeerRefusedError, match="does not know our AE title"),
    ):
        echo(pacs.peer, caller=Caller("MIDLINE", TIMEOUTS))


def test_each_stored_syntax_gets_a_context_of_its_own() -> None:
    files = [StoreFile(Path("a"), SEGMENTATION, s) for s in (RLE, EXPLICIT, RLE)]
    syntaxes = [context.transfer_syntax for context in contexts_for(files)]
    assert syntaxes == [[EXPLICIT], [RLE], [EXPLICIT, "1.2.840.10008.1.2"]]


def test_more_kinds_than_an_association_holds_are_refused() -> None:
    files = [StoreFile(Path("a"), f"1.2.3.{k}", RLE) for k in range(65)]
    with pytest.raises(PeerRefusedError, match="130 presentation contexts"):
        contexts_for(files)


def test_a_rejection_counts_also_when_the_connection_is_closed_by_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The association looks whether it is connected when all is over already."""
    begin = HardSocket.__init__

    def begin_late(self: HardSocket, assoc: Association, **others: Any) -> None:
        begin(self, assoc, **others)
        if assoc.is_requestor:
            ready, wait = self._ready, self._ready.wait
            monkeypatch.setattr(
                ready, "wait", lambda: wait() and eventually(lambda: not assoc.dul.is_alive())
            )

    monkeypatch.setattr(HardSocket, "__init__", begin_late)
    with (
        running_pacs(calling_ae_titles=("SOMEBODY",)) as pacs,
        pytest.raises(PeerRefusedError, match="does not know our AE title"),
    ):
        echo(pacs.peer, caller=Caller("MIDLINE", TIMEOUTS))
