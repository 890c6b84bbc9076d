"""One attempt by C-STORE: each thing that can come back, and what follows from it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    SegmentationStorage,
)

from node.peers import Caller, Peer, Timeouts
from node.sending import FEW_ATTEMPTS, Parcel, Sent, send_by_dimse
from tests.support.pacs import Pacs, free_port, running_pacs
from tests.support.parcels import written
from tests.support.scripted_peer import Conversation, Proposed, scripted_peer

TIMEOUTS = Timeouts(connection_seconds=2, acse_seconds=0.5, dimse_seconds=0.5, network_seconds=1.0)
DONE = Sent(arrived=(1, 2))
VERIFICATION = "1.2.840.10008.1.1"


@pytest.fixture
def parcels(tmp_path: Path) -> list[Parcel]:
    """A mask and a report of one patient."""
    return [
        written(tmp_path, 1, "SEG", SegmentationStorage),
        written(tmp_path, 2, "SR", Comprehensive3DSRStorage),
    ]


def send(
    parcels: list[Parcel], peer: Peer, *, attempt: int = 1, timeouts: Timeouts = TIMEOUTS
) -> Sent:
    caller = Caller("MIDLINE", timeouts)
    return send_by_dimse(parcels, peer, caller=caller, attempt=attempt, on_arrival=lambda _: None)


@dataclass
class Answering:
    """A PACS that answers everything alike."""

    pacs: Pacs
    status: int = 0


@pytest.fixture(scope="module")
def answering() -> Iterator[Answering]:
    with running_pacs(answer=lambda _: shared.status) as pacs:
        shared = Answering(pacs)
        yield shared


def is_passing(sent: Sent) -> bool:
    """Whether it is tried again, and given up after a day."""
    return bool(sent.problem) and sent.retryable and not sent.held and not sent.refused


@pytest.mark.parametrize(
    ("status", "means"),
    [
        (0x0000, "done"), (0xB000, "done"), (0xB006, "done"), (0xB007, "done"), (0x0111, "done"),
        (0xA700, "retry"), (0xA701, "retry"), (0x0110, "retry"), (0x0213, "retry"),
        (0x0124, "hold"), (0x0214, "hold"),
        (0xA900, "object"), (0xA9FF, "object"), (0xC000, "object"), (0xC123, "object"),
        (0x0112, "object"), (0x0117, "object"), (0x0118, "object"), (0x0119, "object"),
        (0x0122, "object"), (0x0210, "object"), (0x0211, "object"), (0x0212, "object"),
    ],
)  # fmt: skip
def test_what_follows_from_a_status(
    parcels: list[Parcel], answering: Answering, status: int, means: str
) -> None:
    answering.status = status
    sent = send(parcels, answering.pacs.peer)
    if means == "done":
        assert sent == DONE
        return
    assert sent.arrived == ()
    assert sent.retryable
    assert sent.held == (means == "hold")
    told = sent.refused[0].answer if means == "object" else sent.problem
    assert told == f"{answering.pacs.peer} answered 0x{status:04X}"
    if means == "object":
        (refused,) = sent.refused
        assert (refused.parcel, refused.uid) == (parcels[0], SegmentationStorage)
        assert not refused.is_final


def test_a_warning_is_told_in_the_log(
    parcels: list[Parcel], caplog: pytest.LogCaptureFixture
) -> None:
    answers = iter([0xB007, 0x0111])
    with running_pacs(answer=lambda _: next(answers)) as pacs:
        assert send(parcels, pacs.peer) == DONE
    told = [record.message for record in caplog.records if record.name == "node.sending"]
    assert told == [f"taken with a warning: SEG: {pacs.peer} answered 0xB007"]


@pytest.mark.parametrize(
    ("source", "reason", "words"),
    [
        (1, 1, "source 1, reason 1"),
        (1, 2, "it does not support the application context"),
        (1, 3, "it does not know our AE title"),
        (1, 7, "it has another AE title than the one called"),
        (2, 1, "source 2, reason 1"),
        (2, 2, "source 2, reason 2"),
    ],
)
def test_a_permanent_rejection_is_held(
    parcels: list[Parcel], source: int, reason: int, words: str
) -> None:
    with scripted_peer(lambda caller: caller.reject(1, source, reason)) as peer:
        sent = send(parcels, peer)
    assert sent.held
    assert sent.problem == f"{peer} rejected the association: {words}"


@pytest.mark.parametrize(("source", "reason"), [(1, 1), (1, 3), (2, 1), (3, 0), (3, 1), (3, 2)])
def test_a_transient_rejection_passes(parcels: list[Parcel], source: int, reason: int) -> None:
    with scripted_peer(lambda caller: caller.reject(2, source, reason)) as peer:
        assert is_passing(send(parcels, peer))


def _abort(caller: Conversation) -> None:
    caller.receive()
    caller.abort()


def _silence(caller: Conversation) -> None:
    caller.receive()
    time.sleep(0.7)


def _nonsense(caller: Conversation) -> None:
    caller.receive()
    caller.send(0xEE, b"nonsense")


@pytest.mark.parametrize(
    "script", [lambda _: None, Conversation.receive, _abort, _silence, _nonsense],
    ids=["hangs up", "hangs up later", "abort", "silence", "nonsense"],
)  # fmt: skip
def test_no_association_passes(
    parcels: list[Parcel], script: Callable[[Conversation], None]
) -> None:
    with scripted_peer(script) as peer:
        sent = send(parcels, peer)
    assert is_passing(sent)
    assert sent.problem == f"no association with {peer}: no connection, or no answer"


def test_nobody_there_passes(parcels: list[Parcel]) -> None:
    assert is_passing(send(parcels, Peer("PACS", "127.0.0.1", free_port())))
    assert is_passing(send(parcels, Peer("PACS", "nowhere.invalid", 104)))


def _store(then: Callable[[Conversation], None]) -> Callable[[Conversation], None]:
    def script(caller: Conversation) -> None:
        caller.accept()
        caller.wait_for_store()
        then(caller)

    return script


def _answer_nothing(caller: Conversation) -> None:
    caller.accept()
    caller.respond_without_status()
    caller.receive()


@pytest.mark.parametrize(
    "script",
    [
        Conversation.accept,
        _store(lambda _: None),
        _store(Conversation.abort),
        _store(lambda _: time.sleep(0.8)),
        _store(lambda caller: caller.send(0x09, b"nonsense")),
        _answer_nothing,
    ],
    ids=["hangs up", "hangs up later", "abort", "silence", "nonsense", "no status"],
)
def test_an_association_that_ends_before_the_answer_passes(
    parcels: list[Parcel], script: Callable[[Conversation], None]
) -> None:
    with scripted_peer(script) as peer:
        sent = send(parcels, peer)
    assert is_passing(sent)
    assert sent.arrived == ()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("ends", [lambda _: None, Conversation.abort], ids=["hangs up", "abort"])
def test_nothing_is_awaited_of_a_peer_that_is_gone(
    parcels: list[Parcel], ends: Callable[[Conversation], None]
) -> None:
    patient = replace(TIMEOUTS, acse_seconds=300, dimse_seconds=300, network_seconds=300)
    with scripted_peer(_store(ends)) as peer:
        for _ in range(4):
            assert is_passing(send(parcels, peer, timeouts=patient))


def _all_but_segmentations(result: int) -> Callable[[Conversation], None]:
    def results(context: Proposed) -> int:
        return result if context.abstract_syntax == SegmentationStorage else 0

    def script(caller: Conversation) -> None:
        caller.accept(results)
        caller.release()

    return script


@pytest.mark.parametrize("result", [3, 4])
def test_a_class_that_is_not_known_is_refused_at_once_and_for_good(
    parcels: list[Parcel], result: int
) -> None:
    with scripted_peer(_all_but_segmentations(result)) as peer:
        (refused,) = send(parcels, peer).refused
    assert (refused.parcel, refused.uid) == (parcels[0], SegmentationStorage)
    assert refused.is_final
    assert refused.answer == f"{peer} does not take SOP class {SegmentationStorage}"


@pytest.mark.parametrize("result", [1, 2])
def test_a_class_that_is_rejected_without_reason_is_refused_after_a_few_attempts(
    parcels: list[Parcel], result: int
) -> None:
    with scripted_peer(_all_but_segmentations(result)) as peer:
        attempts = [send(parcels, peer, attempt=n) for n in range(1, FEW_ATTEMPTS + 1)]
    assert all(is_passing(sent) for sent in attempts[:-1])
    (refused,) = attempts[-1].refused
    assert (refused.uid, refused.is_final) == (SegmentationStorage, False)


def test_a_syntax_that_is_not_known_is_refused_alone(tmp_path: Path) -> None:
    parcel = written(tmp_path, 1, "SEG", SegmentationStorage, syntax=JPEG2000Lossless)

    def script(caller: Conversation) -> None:
        caller.accept(lambda each: 4 if JPEG2000Lossless in each.transfer_syntaxes else 0)
        caller.release()

    with scripted_peer(script) as peer:
        (refused,) = send([parcel], peer).refused
    assert (refused.uid, refused.is_final) == (JPEG2000Lossless, True)


def test_a_peer_that_takes_verification_alone_refuses_every_class(parcels: list[Parcel]) -> None:
    def script(caller: Conversation) -> None:
        caller.accept(lambda each: 0 if each.abstract_syntax == VERIFICATION else 3)
        caller.release()

    with scripted_peer(script) as peer:
        refused = send(parcels, peer).refused
    assert [each.parcel for each in refused] == parcels
    assert all(each.is_final for each in refused)


def test_a_peer_that_accepts_nothing_at_all_passes(parcels: list[Parcel]) -> None:
    with scripted_peer(lambda caller: caller.accept(lambda _: 3)) as peer:
        assert is_passing(send(parcels, peer))


def test_a_lost_or_broken_result_is_not_tried_for_ever(parcels: list[Parcel]) -> None:
    parcels[0].path.write_bytes(b"overwritten")
    gone = replace(parcels[0], path=parcels[0].path.with_name("gone.dcm"))
    with running_pacs() as pacs:
        for lost in (parcels[0], gone):
            sent = send([lost, parcels[1]], pacs.peer)
            assert (sent.retryable, sent.held, sent.refused) == (False, False, ())
        assert pacs.received == []


def test_plain_objects_travel_in_the_other_plain_syntax(parcels: list[Parcel]) -> None:
    implicit = "1.2.840.10008.1.2"
    with running_pacs(syntaxes=(implicit,)) as pacs:
        assert send(parcels, pacs.peer) == DONE
    assert {str(ds.file_meta.TransferSyntaxUID) for ds in pacs.received} == {implicit}
    assert str(ExplicitVRLittleEndian) != implicit
