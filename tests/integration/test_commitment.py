"""Storage commitment of results by a real SCP: on the same and on a new association, or never."""

from collections.abc import Callable
from typing import Any

import pytest

from node.commitment.messages import FailureReason, Report
from node.delivery import HELD
from node.peers import Peer
from storage.records import CommitmentState, DeliveryState, Reference
from tests.support.committed_site import Maker
from tests.support.committed_site import finished as finished  # noqa: PLC0414 - a fixture
from tests.support.committed_site import site as site  # noqa: PLC0414 - a fixture
from tests.support.committing import (
    Archive,
    everything,
    nothing,
    reporting,
    running_archive,
    tell,
)
from tests.support.pacs import COMPREHENSIVE_3D_SR, free_port
from tests.support.waiting import eventually

BOTH_SENT = [DeliveryState.SENT, DeliveryState.SENT]


def _last(archive: Archive) -> Report:
    return everything(archive.requests[-1])


def test_the_archive_commits_on_the_association_on_which_it_got_the_results(site: Maker) -> None:
    with running_archive() as archive:
        there = site(archive.peer)
        there.send()
        assert there.are_all(CommitmentState.COMMITTED)
        (request,) = archive.requests
    assert archive.num_associations == 1
    assert archive.told == [0x0000]
    assert [each.sop_instance_uid for each in request.references] == archive.stored
    assert all(delivery.committed_at for delivery in there.deliveries())
    assert there.num_attempts_waiting() == 0


@pytest.mark.parametrize("way", ["new", "new without roles"])
def test_the_archive_commits_on_a_new_association(site: Maker, way: str) -> None:
    with running_archive(way=way) as archive:
        there = site(archive.peer, wait=0.1)
        archive.reports_to = there.peer
        with there.listening():
            there.send()
            eventually(lambda: archive.told == [0x0000])
        assert there.are_all(CommitmentState.COMMITTED)
        there.send()
    assert len(archive.requests) == 1


def test_an_archive_that_has_no_such_service_is_not_asked(site: Maker) -> None:
    with running_archive(offers=False) as archive:
        there = site(archive.peer)
        there.send()
    assert there.states() == BOTH_SENT
    assert there.are_all(CommitmentState.NOT_OFFERED)
    assert there.workflows() == []


def test_an_archive_that_is_not_to_be_asked_is_not_asked(site: Maker) -> None:
    with running_archive() as archive:
        there = site(archive.peer, "NONE")
        there.send()
    assert archive.requests == []
    assert there.are_all(CommitmentState.NOT_OFFERED)


def test_an_archive_that_has_to_commit_and_cannot_is_a_problem_until_it_can(site: Maker) -> None:
    port = free_port()
    there = site(Peer("PACS", "127.0.0.1", port), "REQUIRED")
    with running_archive(port=port, offers=False):
        there.send()
    assert there.states() == BOTH_SENT
    assert there.are_all(CommitmentState.NOT_ASKED)
    assert HELD in there.errors()
    assert "offers no storage commitment" in there.errors()
    assert there.num_attempts_waiting() == 1
    with running_archive(port=port) as archive:
        there.send(attempt=2)
        assert archive.stored == []
    assert there.are_all(CommitmentState.COMMITTED)
    assert there.errors().strip() == ""


def test_a_peer_that_is_down_when_it_is_asked_is_asked_later(site: Maker) -> None:
    port = free_port()
    there = site(Peer("PACS", "127.0.0.1", port))
    with running_archive(port=port, status=0x0110):
        there.send()
    assert "0x0110" in there.errors()
    there.send(attempt=2)
    assert there.are_all(CommitmentState.NOT_ASKED)
    assert "no association" in there.errors()
    with running_archive(port=port) as archive:
        there.send(attempt=3)
        assert archive.stored == []
    assert there.are_all(CommitmentState.COMMITTED)


def test_asking_is_given_up_after_its_time(site: Maker) -> None:
    with running_archive(status=0x0110) as archive:
        there = site(archive.peer, delivery={"give_up_hours": 1e-9}, times={"timeout_hours": 1e-9})
        there.send()
    assert there.states() == BOTH_SENT
    assert there.are_all(CommitmentState.FAILED)
    assert there.workflows() == []


def test_an_archive_that_refuses_the_request_for_good_is_taken_at_its_word(site: Maker) -> None:
    with running_archive(status=0x0122) as archive:
        there = site(archive.peer)
        there.send()
    assert there.are_all(CommitmentState.NOT_OFFERED)
    assert "0x0122" in there.errors()


@pytest.mark.parametrize("reason", [0x0110, 0x0112, 0x0213])
def test_what_the_archive_has_lost_is_sent_and_asked_for_again(site: Maker, reason: int) -> None:
    with running_archive(judge=nothing(reason)) as archive:
        there = site(archive.peer)
        there.send()
        assert there.states() == [DeliveryState.PENDING, DeliveryState.PENDING]
        assert f"0x{reason:04X}" in there.errors()
        assert there.num_attempts_waiting() == 1
        archive.judge = everything
        there.send(attempt=2)
    assert there.states() == BOTH_SENT
    assert there.are_all(CommitmentState.COMMITTED)
    assert archive.stored == archive.stored[:2] * 2
    assert len({each.transaction_uid for each in archive.requests}) == 2


def test_only_what_failed_is_sent_again(site: Maker) -> None:
    def half(request: Any) -> Report:
        kept, lost = request.references
        return Report(request.transaction_uid, (kept,), ((lost, FailureReason.PROCESSING_FAILURE),))

    with running_archive(judge=half) as archive:
        there = site(archive.peer)
        there.send()
    assert there.commitments() == [CommitmentState.COMMITTED, CommitmentState.NOT_ASKED]
    assert there.states() == [DeliveryState.SENT, DeliveryState.PENDING]


def test_what_is_lost_again_and_again_is_dead_after_its_time(site: Maker) -> None:
    with running_archive(judge=nothing(0x0112)) as archive:
        there = site(archive.peer, delivery={"give_up_hours": 1e-9})
        there.send()
    assert there.states() == [DeliveryState.DEAD, DeliveryState.DEAD]
    assert there.are_all(CommitmentState.FAILED)
    assert there.num_attempts_waiting() == 0


@pytest.mark.parametrize("reason", [0x0119, 0x0122, 0xA123])
def test_what_the_archive_will_never_commit_to_is_dead(site: Maker, reason: int) -> None:
    with running_archive(judge=nothing(reason)) as archive:
        there = site(archive.peer)
        there.send()
    assert there.states() == [DeliveryState.DEAD, DeliveryState.DEAD]
    assert there.are_all(CommitmentState.FAILED)
    assert f"0x{reason:04X}" in there.errors()
    assert there.num_attempts_waiting() == 0


def _nothing_named(request: Any) -> Report:
    return Report(request.transaction_uid)


@pytest.mark.parametrize("judge", [nothing(0x0131), _nothing_named])
def test_a_transaction_that_cannot_be_is_asked_for_under_another_uid(
    site: Maker, judge: Callable[..., Report]
) -> None:
    with running_archive(judge=judge) as archive:
        there = site(archive.peer)
        there.send()
        assert there.states() == BOTH_SENT
        assert there.are_all(CommitmentState.NOT_ASKED)
        assert there.num_attempts_waiting() == 1
        archive.judge = everything
        there.send(attempt=2)
    assert there.are_all(CommitmentState.COMMITTED)
    assert len(archive.stored) == 2
    assert len({each.transaction_uid for each in archive.requests}) == 2


def test_an_answer_to_what_was_never_asked_is_taken_and_changes_nothing(
    site: Maker, caplog: pytest.LogCaptureFixture
) -> None:
    with running_archive(way="never") as archive:
        there = site(archive.peer, wait=0.1)
        there.send()
    lost = Reference("1.2.840.10008.5.1.4.1.1.66.4", archive.stored[0])
    stranger = Report("2.25.99", (), ((lost, FailureReason.NO_SUCH_OBJECT_INSTANCE),))
    with there.listening():
        with reporting(there.peer, "PACS") as association:
            assert tell(association, stranger) == 0x0000
        with reporting(there.peer, "OTHER") as association:
            assert tell(association, _last(archive)) == 0x0000
    assert there.are_all(CommitmentState.REQUESTED)
    assert sum("was not asked with" in each.message for each in caplog.records) == 2


def test_a_repeated_answer_changes_nothing(site: Maker) -> None:
    with running_archive(way="never") as archive:
        there = site(archive.peer, wait=0.1)
        there.send()
    lost = nothing(FailureReason.NO_SUCH_OBJECT_INSTANCE)(archive.requests[0])
    with there.listening(), reporting(there.peer, "PACS") as association:
        assert tell(association, _last(archive)) == 0x0000
        assert tell(association, lost) == 0x0000
    assert there.states() == BOTH_SENT
    assert there.are_all(CommitmentState.COMMITTED)


def test_a_repeated_denial_is_acted_on_once(site: Maker) -> None:
    with running_archive(way="never") as archive:
        there = site(archive.peer, wait=0.1)
        there.send()
    duplicate = nothing(FailureReason.DUPLICATE_TRANSACTION_UID)(archive.requests[0])
    there.answers.take(duplicate, ae_title="PACS")
    there.answers.take(duplicate, ae_title="PACS")
    assert there.num_attempts_waiting() == 1


def test_what_arrived_is_asked_for_when_the_rest_is_dead(site: Maker) -> None:
    with running_archive(refuses=(COMPREHENSIVE_3D_SR,)) as archive:
        there = site(archive.peer)
        there.send()
        assert there.states() == [DeliveryState.SENT, DeliveryState.DEAD]
        assert there.num_attempts_waiting() == 1
        there.send(attempt=2)
    assert there.commitments() == [CommitmentState.COMMITTED, CommitmentState.NOT_ASKED]
    assert len(archive.stored) == 1


def test_a_report_that_makes_no_sense_is_refused(site: Maker) -> None:
    there = site(Peer("PACS", "127.0.0.1", free_port()))
    empty = Report("")
    with there.listening(), reporting(there.peer, "PACS") as association:
        assert tell(association, empty) == 0x0115
        assert tell(association, Report("2.25.1"), event_type=3) == 0x0113
