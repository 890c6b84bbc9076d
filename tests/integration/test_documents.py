"""The conformance statement before a real peer: what it says is accepted, answered and proposed."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, build_context, evt, sop_class
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.presentation import PresentationContext

from config.errors import DatabaseBusyError
from config.settings import NodeSettings, Settings
from node.admission import Rejection
from node.custody import Stores, keep
from node.documents.acceptance import CHECKS, REJECTS, Check
from node.engine import Queues, migrate
from node.handlers import status_of
from node.hardening.bounds import MOST_CONTEXTS
from node.listener import start_server
from node.peers import VERIFICATION, Caller, Peer, Timeouts, associated
from node.reception import Request
from node.status import StoreStatus
from storage.database import Database
from storage.files import FileStore
from tests.support.ct_series import head_series, stack
from tests.support.pacs import free_port
from tests.support.sender import calling, request_for

DOCUMENT = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text(encoding="utf-8")
TIMEOUTS = Timeouts(connection_seconds=2, acse_seconds=5, dimse_seconds=5, network_seconds=5)
GRID = stack(range(0, 60, 5), size=32, pixel_mm=7.0)
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
LIMIT_BYTES = 1 << 20


def section(number: str) -> str:
    """Text of a section of the document."""
    text = DOCUMENT.split(f"\n### {number} ")[1]
    return re.split(r"\n##+ ", text)[0]


def contexts_in(text: str) -> set[tuple[str, str]]:
    """Abstract and transfer syntax of each presentation context in the tables of a section."""
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| `1.2.840.")]
    cells = [[re.findall(r"`([0-9.]+)`", cell) for cell in row] for row in rows]
    return {pair for classes, syntaxes in cells for pair in product(classes, syntaxes)}


def property_in(text: str, name: str) -> str:
    """Value of a property in a table of a section."""
    found = re.search(rf"^\| {re.escape(name)} \| `?([^`|]+?)`? \|$", text, re.MULTILINE)
    assert found is not None, name
    return found[1]


@dataclass
class Site:
    """A listener, and where it keeps what it gets."""

    settings: NodeSettings
    stores: Stores

    @property
    def peer(self) -> Peer:
        return Peer("MIDLINE", "127.0.0.1", self.settings.port)


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    database = Database(f"sqlite:///{tmp_path / 'midline.sqlite'}")
    database.upgrade()
    migrate(database)
    queues = Queues(database.engine)
    files = FileStore(tmp_path / "files", reserve_bytes=0)
    yield Stores(database, files, queues, max_instance_bytes=LIMIT_BYTES)
    queues.close()
    database.close()


@pytest.fixture
def site(stores: Stores) -> Iterator[Site]:
    """A node as the document describes it, but for its port and one sender."""
    settings = NodeSettings(
        port=free_port(), allowed_calling_ae_titles=("CT1",), max_associations=2
    )
    server = start_server(Settings(node=settings), stores)
    yield Site(settings, stores)
    server.shutdown()


def accepted(site: Site, pairs: Sequence[tuple[str, Sequence[str]]]) -> set[tuple[str, str]]:
    """What the listener accepts of what is proposed, over as many associations as it takes."""
    found = set()
    size = MOST_CONTEXTS - 1
    for start in range(0, len(pairs), size):
        contexts = [build_context(a, list(t)) for a, t in pairs[start : start + size]]
        # an association on which nothing is accepted is aborted by its requestor
        contexts.append(build_context(VERIFICATION, "1.2.840.10008.1.2"))
        with associated(site.peer, contexts, caller=Caller("CT1", TIMEOUTS)) as association:
            found |= {
                (str(each.abstract_syntax), str(each.transfer_syntax[0]))
                for each in association.accepted_contexts
            }
    return found


def test_the_listener_accepts_the_contexts_of_the_document_and_no_other(site: Site) -> None:
    told = contexts_in(section("3.2"))
    classes = {abstract for abstract, _ in told}
    assert len(classes) >= 4
    every_syntax = [str(syntax) for syntax in ALL_TRANSFER_SYNTAXES]
    assert {transfer for _, transfer in told} <= set(every_syntax)
    pairs = [(each, [syntax]) for each in sorted(classes) for syntax in every_syntax]
    assert accepted(site, pairs) == told


def test_the_listener_accepts_no_class_that_the_document_does_not_name(site: Site) -> None:
    known = {
        str(value)
        for name, table in vars(sop_class).items()
        if name.endswith("_CLASSES") and isinstance(table, dict)
        for value in table.values()
        if isinstance(value, str)
    }
    assert len(known) > 200
    plain = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]
    found = accepted(site, [(each, plain) for each in sorted(known)])
    assert {abstract for abstract, _ in found} == {a for a, _ in contexts_in(section("3.2"))}


def test_the_listener_names_itself_as_the_document_does(site: Site) -> None:
    told = section("3.1")
    with calling(site.peer, [CT_IMAGE]) as association:
        acceptor = association.acceptor
        version = (acceptor.implementation_version_name or "").strip()
        assert version == property_in(told, "Implementation Version Name")
        named = str(acceptor.implementation_class_uid)
        assert named == property_in(told, "Implementation Class UID")
        assert f"{acceptor.maximum_length} bytes" == property_in(told, "Longest PDU accepted")


def opened(site: Site, *, caller: str = "CT1", called: str = "MIDLINE") -> Association:
    ae = AE(ae_title=caller)
    ae.add_requested_context(CT_IMAGE)
    return ae.associate("127.0.0.1", site.settings.port, ae_title=called)


def test_a_peer_that_is_not_served_gets_the_answers_of_the_document(site: Site) -> None:
    held = [opened(site), opened(site)]
    assert all(each.is_established for each in held)
    refused = [opened(site)]
    for each in held:
        each.release()
    refused = [opened(site, caller="STRANGER"), opened(site, called="OTHER"), *refused]
    answers = []
    for each in refused:
        assert each.is_rejected
        answer = each.acceptor.primitive
        answers.append((answer.result, answer.result_source, answer.diagnostic))
    told = [rejection.value for rejection, _ in REJECTS]
    # whoever cannot be judged cannot be made up
    assert answers == [codes for codes in told if codes != Rejection.FAULT.value]
    for codes in answers:
        assert "| {} | {} | {} |".format(*codes) in section("3.1")


def test_what_is_proposed_to_a_destination_is_what_the_document_says() -> None:
    told = section("4.1")
    seen: list[Any] = []

    def note(event: Event) -> None:
        seen.append(event.assoc.requestor)

    peer = Peer("PACS", "127.0.0.1", free_port())
    ae = AE(ae_title="PACS")
    proposed = sorted({abstract for abstract, _ in contexts_in(section("4.2"))})
    contexts: list[PresentationContext] = [build_context(each) for each in proposed]
    ae.supported_contexts = contexts
    server = ae.start_server(
        (peer.host, peer.port), block=False, evt_handlers=[(evt.EVT_ACCEPTED, note)]
    )
    assert server is not None
    with associated(peer, contexts, caller=Caller("MIDLINE", TIMEOUTS)):
        (requestor,) = seen
    server.shutdown()
    assert requestor.ae_title.strip() == property_in(told, "Calling AE title")
    assert f"{requestor.maximum_length} bytes" == property_in(told, "Longest PDU taken")
    version = (requestor.implementation_version_name or "").strip()
    assert version == property_in(told, "Implementation Version Name")
    named = str(requestor.implementation_class_uid)
    assert named == property_in(told, "Implementation Class UID")
    assert requestor.asynchronous_operations == (1, 1)
    assert not requestor.role_selection
    assert not requestor.sop_class_extended
    assert requestor.user_identity is None


def answer_to(request: Request, stores: Stores) -> tuple[StoreStatus, str]:
    """Status and comment of a C-STORE, as its handler gives them."""
    try:
        keep(request, stores, calling_ae_title="CT1")
    except Exception as error:  # noqa: BLE001 - as the handler
        return status_of(error)
    return StoreStatus.SUCCESS, ""


def changed(**values: str) -> Request:
    """Request of an image with other values, its identifiers as if nothing was changed."""
    image = head_series(GRID)[0]
    honest = request_for(image)
    for keyword, value in values.items():
        setattr(image, keyword, value)
    return replace(request_for(image), sop_instance_uid=honest.sop_instance_uid)


def honest() -> Request:
    return request_for(head_series(GRID)[0])


def known_then(request: Request) -> Callable[[Stores], Request]:
    """Let an image be known before the request comes."""

    def prepare(stores: Stores) -> Request:
        assert answer_to(honest(), stores)[0] is StoreStatus.SUCCESS
        return request

    return prepare


def without_pixels() -> Request:
    image = head_series(GRID)[0]
    image.PixelData = image.PixelData[:-2]
    return request_for(image)


ANSWERS: dict[str, Callable[[Stores], Request]] = {
    "the data set is over the size limit": lambda _: replace(
        honest(), data_set=bytes(LIMIT_BYTES + 1)
    ),
    "Affected SOP Instance UID is no UID": lambda _: replace(honest(), sop_instance_uid="../1"),
    "a deflated data set …": lambda _: replace(
        honest(), transfer_syntax_uid=DeflatedExplicitVRLittleEndian
    ),
    "the data set cannot be parsed": lambda _: replace(
        honest(), data_set=b"\x08\x00\x05\x00SQ\0\0\xff\xff\xff\xff" + bytes(8) + b"GET /"
    ),
    "the data set is cut short": lambda _: replace(honest(), data_set=honest().data_set[:-100]),
    "fewer pixels than rows, columns and bits announce": lambda _: without_pixels(),
    "(keyword) is not what the request says": lambda _: changed(Modality="MR"),
    "(keyword) is missing": lambda _: changed(PatientID=""),
    "(keyword) is no UID": lambda _: changed(StudyInstanceUID="no UID"),
    "known SOP Instance UID with other content": known_then(changed(SeriesDescription="edited")),
    "study or series is known under another patient": known_then(
        request_for(head_series(GRID, PatientID="SOMEBODY ELSE")[1])
    ),
}


def test_every_check_of_the_document_is_provoked_or_an_error_of_the_node() -> None:
    comments = {check.comment for check in CHECKS if check.comment}
    others = {"no room on the disk", "the index is busy", "fault of the node: (type)"}
    others |= {"this application entity may not store"}  # in test_calling_the_node.py
    assert comments == set(ANSWERS) | others


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize(
    "check", [c for c in CHECKS if c.comment in ANSWERS], ids=lambda c: c.comment
)
def test_a_check_of_the_document_is_answered_so(check: Check, stores: Stores) -> None:
    status, comment = answer_to(ANSWERS[check.comment](stores), stores)
    assert status is check.status
    pattern = re.escape(check.comment).replace(r"\(keyword\)", r"\w+").replace("…", ".+")
    assert re.fullmatch(pattern, comment)


def test_errors_of_the_node_are_answered_as_the_document_says(
    stores: Stores, tmp_path: Path
) -> None:
    told = {check.comment: check.status for check in CHECKS}
    full = replace(stores, files=FileStore(tmp_path / "full", reserve_bytes=1 << 60))
    for status, comment in (
        answer_to(replace(honest(), sop_instance_uid="../1"), full),  # before all of an image
        status_of(DatabaseBusyError("locked")),
    ):
        assert told[comment] is status
    status, comment = status_of(ValueError("quotes a patient"))
    assert comment == "fault of the node: ValueError"
    assert told["fault of the node: (type)"] is status


def test_an_image_that_is_sent_again_is_answered_with_success(stores: Stores) -> None:
    answers = [answer_to(honest(), stores) for _ in range(2)]
    assert answers == [(StoreStatus.SUCCESS, "")] * 2
    assert [check.status for check in CHECKS if not check.comment] == [StoreStatus.SUCCESS] * 2
