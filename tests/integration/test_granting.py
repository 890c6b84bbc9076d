"""Storage commitment by the node: it commits to what it holds, and to nothing else."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import CTImageStorage
from pynetdicom import build_role

from config.errors import PeerUnavailableError
from config.settings import Settings
from node.caller import caller_of
from node.commitment.granting import Grantor
from node.commitment.messages import REQUEST, FailureReason, Report, commitment_context
from node.peers import Caller, Peer, associated
from storage.records import Reference
from tests.support.committing import Modality, ask, running_modality
from tests.support.ct_series import even_heights, head_series, stack
from tests.support.listening import Listening, listening
from tests.support.pacs import free_port
from tests.support.sender import TIMEOUTS, store

IMAGES = tuple(head_series(stack(even_heights(4)), name="granting"))
CT = str(CTImageStorage)


def _named(images: Sequence[Dataset]) -> tuple[Reference, ...]:
    return tuple(Reference(str(ds.SOPClassUID), str(ds.SOPInstanceUID)) for ds in images)


HELD = _named(IMAGES)


@dataclass
class Site:
    """A node that offers commitment, with images, and the modality that sent them."""

    node: Listening
    modality: Modality
    settings: Settings

    def __post_init__(self) -> None:
        stores = self.node.stores
        self.grantor = Grantor(stores.database, stores.files, stores.queues, self.settings)

    def ask(self, references: Sequence[Reference], uid: str = "2.25.1", **how: Any) -> int:
        return ask(self.node.peer, uid, references, **how)

    def report(self, request_id: int = 1, attempt: int = 1) -> None:
        """Make an attempt to report, as the deliverer does."""
        self.grantor.report(request_id, attempt, caller_of(self.settings))

    def told(self) -> Report:
        (report,) = self.modality.reports
        return report

    def reasons(self) -> list[int]:
        return [reason for _, reason in self.told().failed]

    def queued(self) -> set[str]:
        with self.node.stores.database.engine.connect() as connection:
            rows = connection.exec_driver_sql("SELECT workflow_uuid FROM workflow_status")
            return {str(row[0]) for row in rows}

    def file_of(self, reference: Reference) -> Path:
        with self.node.stores.database.read() as transaction:
            (held,) = transaction.commitment_requests.held([reference.sop_instance_uid])
        return self.node.stores.files.path(held.path)


Maker = Callable[..., Site]


@contextmanager
def _running(folder: Path, *, offered: bool, event_reports: bool, port: int) -> Iterator[Site]:
    with ExitStack() as stack:
        modality = stack.enter_context(running_modality(port=port))
        to = {"host": modality.peer.host, "port": modality.peer.port}
        sender = {"ae_title": "CT1"} | ({"event_reports": to} if event_reports else {})
        sections: dict[str, object] = {"commitment": {"offered": offered}, "senders": [sender]}
        node = stack.enter_context(listening(folder, node={}, **sections))
        assert set(store(node.peer, IMAGES)) == {0x0000}
        yield Site(node, modality, Settings.model_validate(sections))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Maker]:
    with ExitStack() as stack:

        def make(*, offered: bool = True, event_reports: bool = True, port: int = 0) -> Site:
            return stack.enter_context(
                _running(tmp_path, offered=offered, event_reports=event_reports, port=port)
            )

        yield make


def test_the_node_commits_to_what_it_holds(site: Maker) -> None:
    there = site()
    assert there.ask(HELD) == 0x0000
    assert there.queued() == {"report-commitment:1:1"}
    there.report()
    assert there.told() == Report("2.25.1", HELD)
    there.report()  # a crash after the report runs it again
    assert there.told().committed == HELD


def test_the_node_commits_to_nothing_else(site: Maker) -> None:
    there = site()
    unknown = Reference(CT, "2.25.404")
    other_class = Reference("1.2.840.10008.5.1.4.1.1.4", HELD[1].sop_instance_uid)
    there.file_of(HELD[2]).unlink()
    cut = there.file_of(HELD[3])
    cut.write_bytes(cut.read_bytes()[:-1])
    assert there.ask((HELD[0], unknown, other_class, HELD[2], HELD[3])) == 0x0000
    there.report()
    assert there.told().committed == (HELD[0],)
    assert there.reasons() == [
        FailureReason.NO_SUCH_OBJECT_INSTANCE,
        FailureReason.CLASS_INSTANCE_CONFLICT,
        FailureReason.NO_SUCH_OBJECT_INSTANCE,
        FailureReason.PROCESSING_FAILURE,
    ]


def test_an_image_of_which_there_are_two_is_not_committed_to(site: Maker) -> None:
    there = site()
    other = Dataset(IMAGES[0])
    other.file_meta = IMAGES[0].file_meta
    other.InstanceNumber = 77
    assert store(there.node.peer, [other]) == [0x0111]
    there.ask(HELD[:2])
    there.report()
    assert there.told().committed == HELD[1:2]
    assert there.reasons() == [FailureReason.PROCESSING_FAILURE]


def test_a_transaction_uid_serves_once(site: Maker) -> None:
    there = site()
    there.ask(HELD[:2])
    there.report(1)
    there.modality.reports.clear()
    assert there.ask(HELD[2:]) == 0x0000
    there.report(2)
    assert there.told().committed == ()
    assert there.reasons() == [FailureReason.DUPLICATE_TRANSACTION_UID] * 2


def test_the_same_request_is_answered_again_once_it_was_answered(site: Maker) -> None:
    there = site()
    for _ in range(2):
        assert there.ask(HELD) == 0x0000
    assert there.queued() == {"report-commitment:1:1"}
    there.report()
    assert there.ask(HELD) == 0x0000
    assert there.queued() == {"report-commitment:1:1", "report-commitment:1:2"}
    there.report(attempt=2)
    assert there.modality.reports == [Report("2.25.1", HELD)] * 2


@pytest.mark.parametrize(("offered", "event_reports"), [(False, True), (True, False)])
def test_whoever_may_not_ask_is_told_so(site: Maker, offered: bool, event_reports: bool) -> None:
    there = site(offered=offered, event_reports=event_reports)
    assert there.ask(HELD) == 0x0124
    assert there.queued() == set()


def test_a_node_that_does_not_commit_rejects_the_role(site: Maker) -> None:
    there = site(offered=False)
    context = commitment_context()
    role = build_role(str(context.abstract_syntax), scu_role=True, scp_role=False)
    with (
        pytest.raises(PeerUnavailableError, match="no association"),
        associated(there.node.peer, [context], caller=Caller("CT1", TIMEOUTS), roles=[role]) as a,
    ):
        assert not a.accepted_contexts


def test_other_actions_and_instances_are_refused(site: Maker) -> None:
    there = site()
    assert there.ask(HELD, action_type=REQUEST + 1) == 0x0123
    assert there.ask(HELD, instance="2.25.7") == 0x0112
    assert there.ask((), uid="2.25.1") == 0x0115
    assert there.ask(HELD, uid="") == 0x0115
    assert there.queued() == set()


def test_a_report_that_does_not_arrive_is_tried_again(site: Maker) -> None:
    there = site()
    there.ask(HELD)
    there.modality.status = 0x0110
    there.report()
    assert there.modality.reports == []
    assert there.queued() == {"report-commitment:1:1", "report-commitment:1:2"}
    there.report()
    assert there.queued() == {"report-commitment:1:1", "report-commitment:1:2"}
    there.modality.status = 0x0000
    there.report(attempt=2)
    assert there.told().committed == HELD
    with there.node.stores.database.read() as transaction:
        request = transaction.commitment_requests.get(1)
    assert request is not None
    assert request.reported_at
    assert (request.attempts, request.next_attempt_at) == (2, None)


def test_a_report_to_nobody_is_given_up(site: Maker) -> None:
    there = site()
    there.ask(HELD)
    there.settings = Settings.model_validate({"senders": [{"ae_title": "CT1"}]})
    there.__post_init__()
    there.report()
    assert there.queued() == {"report-commitment:1:1"}
    assert there.modality.reports == []


def test_a_report_that_nobody_takes_for_a_day_is_given_up(site: Maker) -> None:
    there = site()
    there.ask(HELD)
    there.modality.status = 0x0110
    given = there.settings.model_copy(
        update={"delivery": there.settings.delivery.model_copy(update={"give_up_hours": 1e-9})}
    )
    there.settings = given
    there.__post_init__()
    there.report()
    assert there.queued() == {"report-commitment:1:1"}


def test_what_is_asked_for_tells_how_many_images_there_are(site: Maker) -> None:
    there = site()
    report_of_dose = Reference("1.2.840.10008.5.1.4.1.1.88.67", "2.25.9")
    there.ask((*HELD, Reference(CT, "2.25.404"), report_of_dose))
    study = there.node.study(str(IMAGES[0].StudyInstanceUID))
    assert study is not None
    assert study.expected_instances == len(IMAGES) + 1
    assert study.expected_by == "request for storage commitment"


def test_a_modality_that_is_down_is_told_when_it_is_back(tmp_path: Path) -> None:
    port = free_port()
    to = {"host": "127.0.0.1", "port": port}
    sections: dict[str, object] = {
        "commitment": {"offered": True},
        "senders": [{"ae_title": "CT1", "event_reports": to}],
    }
    with listening(tmp_path, node={}, **sections) as node:
        there = Site(
            node, Modality(Peer("CT1", "127.0.0.1", port)), Settings.model_validate(sections)
        )
        store(node.peer, IMAGES)
        there.ask(HELD)
        there.report()
        with running_modality(port=port) as modality:
            there.report(attempt=2)
            assert modality.reports == [Report("2.25.1", HELD)]
