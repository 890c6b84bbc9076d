"""Storage commitment of results by a real SCP: on the same and on a new association, or never."""

import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pynetdicom.association import Association

from config.settings import LivenessSettings, Settings
from ml.checkpoint import Thresholds
from ml.volume import Subtype
from node.caller import caller_of
from node.commitment import answers as commitment_answers
from node.commitment.answers import Answers
from node.commitment.messages import FailureReason, Report
from node.custody import Stores
from node.delivery import HELD, Courier
from node.engine import Queues, run_deliverer
from node.listener import start_server
from node.peers import Peer
from node.steps import Deliverer
from node.workplace import Workplace
from storage.database import Database
from storage.files import FileStore
from storage.records import CommitmentState, DeliveryState, Reference
from tests.integration.test_delivery import Site
from tests.support.committing import (
    Archive,
    everything,
    nothing,
    reporting,
    running_archive,
    tell,
)
from tests.support.destinations import settings_for
from tests.support.pacs import COMPREHENSIVE_3D_SR, free_port
from tests.support.result_inputs import MODEL, NODE
from tests.support.waiting import eventually

BOTH_SENT = [DeliveryState.SENT, DeliveryState.SENT]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a node with one finished job, to be copied: making it takes its time."""
    folder = tmp_path_factory.mktemp("finished")
    Site(folder, settings_for(Peer("PACS", "127.0.0.1", 104))).close()
    return folder


class CommittedSite(Site):
    """A node with a finished job, and a listener that takes reports."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.database = Database(f"sqlite:///{folder / 'midline.sqlite'}")
        self.files = FileStore(folder / "files", reserve_bytes=0)
        self.queues = Queues(self.database.engine)
        self.settings, self.job_id = settings, 1
        self.place = Workplace(
            "test",
            self.database,
            self.files,
            self.queues,
            settings.receivers,
            NODE,
            MODEL,
            Thresholds(0.3, 0.6, {subtype.name: 0.5 for subtype in Subtype}),
        )
        self.courier = Courier(self.place, settings, caller_of(settings))
        self.peer = Peer("MIDLINE", "127.0.0.1", settings.node.port)
        self.answers = Answers(self.database, self.queues, settings)

    def commitments(self) -> list[CommitmentState]:
        return [delivery.commitment for delivery in self.deliveries()]

    def errors(self) -> str:
        return " ".join(delivery.commitment_error or "" for delivery in self.deliveries())

    def are_all(self, state: CommitmentState) -> bool:
        return set(self.commitments()) == {state}

    def workflows(self) -> list[str]:
        with self.database.engine.connect() as connection:
            rows = connection.exec_driver_sql("SELECT workflow_uuid FROM workflow_status")
            return sorted(str(row[0]) for row in rows)

    def num_attempts_waiting(self) -> int:
        return sum(name.startswith("deliver:") for name in self.workflows())

    def look(self, number: int = 1) -> None:
        """Look for the answer to a request as if its time had passed."""
        self.answers.look(number)

    @contextmanager
    def listening(self) -> Iterator[None]:
        stores = Stores(self.database, self.files, self.queues, max_instance_bytes=1 << 26)
        server = start_server(self.settings, stores)
        yield
        server.shutdown()

    @contextmanager
    def delivering(self, name: str) -> Iterator[None]:
        """Run a deliverer as the engine does; it ends at once, whatever waits."""
        stop = threading.Event()
        steps = Deliverer(self.place, self.settings, caller_of(self.settings))
        thread = threading.Thread(
            target=run_deliverer,
            args=(self.database, steps),
            kwargs={
                "executor_id": name,
                "slots": 2,
                "liveness": LivenessSettings(beat_seconds=0.1, dead_after_seconds=1.0),
                "stop": stop,
            },
        )
        thread.start()
        yield
        stop.set()
        thread.join()


Maker = Callable[..., CommittedSite]


@pytest.fixture
def site(tmp_path: Path, finished: Path) -> Iterator[Maker]:
    folder = shutil.copytree(finished, tmp_path / "node")
    with ExitStack() as stack:

        def make(
            peer: Peer, commitment: str = "AUTO", *, wait: float = 10.0, **sections: Any
        ) -> CommittedSite:
            described = {
                "name": "pacs",
                "ae_title": peer.ae_title,
                "host": peer.host,
                "port": peer.port,
                "commitment": commitment,
            }
            times = {"wait_on_association_seconds": wait, **sections.pop("times", {})}
            settings = Settings.model_validate(
                {
                    "node": {"port": free_port()},
                    "commitment": times,
                    "destinations": [described],
                    **sections,
                }
            )
            made = CommittedSite(folder, settings)
            stack.callback(made.close)
            return made

        yield make


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
        there = site(archive.peer, wait=0.1)
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
