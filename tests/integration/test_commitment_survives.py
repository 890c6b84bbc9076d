"""Answers to requests for commitment that never come, come late, or meet a node that died."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pynetdicom.association import Association

from node.commitment import answers as commitment_answers
from storage.records import CommitmentState, DeliveryState
from tests.support.committed_site import Maker
from tests.support.committed_site import finished as finished  # noqa: PLC0414 - a fixture
from tests.support.committed_site import site as site  # noqa: PLC0414 - a fixture
from tests.support.committing import (
    everything,
    nothing,
    reporting,
    running_archive,
    tell,
)
from tests.support.waiting import eventually

BOTH_SENT = [DeliveryState.SENT, DeliveryState.SENT]


def test_without_an_answer_the_archive_is_asked_once_more_and_then_shown(
    site: Maker, caplog: pytest.LogCaptureFixture
) -> None:
    with running_archive(way="never") as archive:
        there = site(archive.peer, wait=0.0001)
        there.send()
        assert there.are_all(CommitmentState.REQUESTED)
        there.look(1)
        assert there.are_all(CommitmentState.NOT_ASKED)
        there.look(1)  # a crash after the look runs it again
        assert there.num_attempts_waiting() == 1
        there.send(attempt=2)
        there.look(1)
        assert there.are_all(CommitmentState.REQUESTED)
        there.look(2)
    assert there.states() == BOTH_SENT
    assert there.are_all(CommitmentState.UNANSWERED)
    assert len({each.transaction_uid for each in archive.requests}) == 2
    assert [each for each in caplog.records if each.levelno == logging.ERROR]
    assert there.num_attempts_waiting() == 1
    there.answers.take(everything(archive.requests[0]), ae_title="PACS")
    assert there.are_all(CommitmentState.COMMITTED)


def test_what_an_answer_to_an_older_request_denies_is_left_to_the_newer_one(site: Maker) -> None:
    with running_archive(way="never") as archive:
        there = site(archive.peer, wait=0.0001)
        there.send()
        there.look(1)
        there.send(attempt=2)
    older, newer = archive.requests
    there.answers.take(nothing(0x0112)(older), ae_title="PACS")
    assert there.states() == BOTH_SENT
    assert there.are_all(CommitmentState.REQUESTED)
    there.answers.take(nothing(0x0112)(newer), ae_title="PACS")
    assert there.states() == [DeliveryState.PENDING, DeliveryState.PENDING]


def test_what_is_reopened_is_asked_for_again(site: Maker) -> None:
    with running_archive(way="never") as archive:
        there = site(archive.peer, wait=0.0001)
        there.send()
        there.look(1)
        there.send(attempt=2)
        there.look(2)
        now = datetime.now(UTC) + timedelta(seconds=1)
        with there.database.begin() as transaction:
            assert len(transaction.commitments.reopen(there.job_id, now=now)) == 2
        there.send()
    assert len(archive.requests) == 3
    assert there.are_all(CommitmentState.REQUESTED)


class KilledError(BaseException):
    """The process ended here."""


@pytest.mark.parametrize("is_sent", [False, True])
def test_a_crash_around_the_request_leaves_it_to_be_made_again(
    site: Maker, monkeypatch: pytest.MonkeyPatch, is_sent: bool
) -> None:
    shipped = Association.send_n_action

    def dying(self: Association, *arguments: Any, **options: Any) -> Any:
        if is_sent:
            shipped(self, *arguments, **options)
        raise KilledError

    with running_archive(way="never") as archive:
        there = site(archive.peer)
        monkeypatch.setattr(Association, "send_n_action", dying)
        with pytest.raises(KilledError):
            there.send()
        monkeypatch.setattr(Association, "send_n_action", shipped)
        assert there.states() == BOTH_SENT
        assert there.are_all(CommitmentState.NOT_ASKED)
        archive.way = "same"
        there.send()
    assert there.are_all(CommitmentState.COMMITTED)
    assert len(archive.stored) == 2
    assert len(archive.requests) == 1 + is_sent


def test_a_crash_while_an_answer_is_recorded_leaves_it_to_be_repeated(
    site: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dying(*_: object, **__: object) -> timedelta:
        raise KilledError

    with running_archive(way="never") as archive:
        there = site(archive.peer, wait=0.1)
        there.send()
        monkeypatch.setattr(commitment_answers, "pause_after", dying)
        lost = nothing(0x0112)(archive.requests[0])
        with pytest.raises(KilledError):
            there.answers.take(lost, ae_title="PACS")
        assert there.are_all(CommitmentState.REQUESTED)
        monkeypatch.undo()
        there.answers.take(lost, ae_title="PACS")
    assert there.states() == [DeliveryState.PENDING, DeliveryState.PENDING]


def test_a_deliverer_that_ends_between_request_and_answer_is_not_missed(site: Maker) -> None:
    with running_archive(way="never") as archive:
        there = site(
            archive.peer,
            wait=0.1,
            times={"timeout_hours": 1.0 / 3600},
            delivery={"first_retry_seconds": 0.1, "longest_retry_seconds": 0.1},
        )
        with there.database.begin() as transaction:
            opened_at = there.deliveries()[0].opened_at
            there.queues.deliver(transaction.session, there.job_id, "pacs", opened_at=opened_at)
        with there.delivering("deliver-first"):
            eventually(lambda: there.are_all(CommitmentState.REQUESTED))
        with there.listening():
            lost = nothing(0x0112)(archive.requests[0])
            with reporting(there.peer, "PACS") as association:
                assert tell(association, lost) == 0x0000
        with there.delivering("deliver-second"):
            # sent again, asked again, and after a second without an answer asked once more
            eventually(lambda: len(archive.requests) == 3)
            there.answers.take(everything(archive.requests[1]), ae_title="PACS")
            eventually(lambda: there.are_all(CommitmentState.COMMITTED))
    assert len(archive.stored) == 4
