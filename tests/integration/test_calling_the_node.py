"""Who may call the node: rejections on the wire, and what each caller may do."""

import socket
import ssl
from pathlib import Path

import pytest
from pydicom.uid import UID
from pynetdicom import AE, build_context

from config.errors import PeerRefusedError, PeerUnavailableError
from config.settings import Settings
from node.caller import caller_of
from node.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from node.peers import VERIFICATION, Caller, Peer, Timeouts, associated, echo
from tests.support.certificates import Certificates, make_certificates
from tests.support.ct_series import head_series, stack
from tests.support.listening import listening
from tests.support.pacs import running_pacs
from tests.support.sender import calling, store

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
TIMEOUTS = Timeouts(connection_seconds=5, acse_seconds=10, dimse_seconds=10, network_seconds=10)
IMAGES = head_series(stack(range(0, 10, 5), size=16, pixel_mm=14.0))
PACS = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 104}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def rejection(peer: Peer, calling_ae_title: str, called: str = "MIDLINE") -> tuple[int, ...]:
    """Result, source and reason of A-ASSOCIATE-RJ, as a foreign peer sees them."""
    ae = AE(ae_title=calling_ae_title)
    contexts = [build_context(VERIFICATION)]
    association = ae.associate(peer.host, peer.port, ae_title=called, contexts=contexts)
    assert association.is_rejected
    answer = association.acceptor.primitive
    assert answer is not None
    association.dul.socket.leave()  # type: ignore[union-attr]
    return answer.result, answer.result_source, answer.diagnostic


def by(ae_title: str, **fields: object) -> Caller:
    return Caller(ae_title, TIMEOUTS, **fields)  # type: ignore[arg-type]


def test_strangers_and_misfits_are_told_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    senders = (
        {"ae_title": "CT1"},
        {"ae_title": "CT2", "addresses": ["10.0.0.0/8"]},
        {"ae_title": "CT3", "addresses": ["127.0.0.0/8", "10.0.0.0/8"]},
    )
    with listening(tmp_path, node={}, senders=senders) as node:
        assert rejection(node.peer, "STRANGER") == (1, 1, 3)
        assert rejection(node.peer, "CT2") == (1, 1, 3)
        assert rejection(node.peer, "CT1", "OTHER") == (1, 1, 7)
        for known in ("CT1", "CT3"):
            assert echo(node.peer, caller=by(known)) > 0
    assert caplog.text.count("rejected an association from 127.0.0.1: CALLING_AE_TITLE") == 2
    assert "STRANGER" not in caplog.text


def test_too_many_associations_are_rejected_and_mute_connections_do_not_count(
    tmp_path: Path,
) -> None:
    limits = {"max_associations": 2, "allowed_calling_ae_titles": ["CT1"]}
    with listening(tmp_path, node=limits) as node:
        mute = [socket.create_connection((node.peer.host, node.peer.port)) for _ in range(4)]
        with calling(node.peer, [CT_IMAGE]), calling(node.peer, [CT_IMAGE]):
            assert rejection(node.peer, "CT1") == (2, 3, 2)
        assert store(node.peer, IMAGES[:1]) == [0]
        for connection in mute:
            connection.close()


@pytest.mark.parametrize("ae_title", ["VIEWER", "PACS"])
def test_who_may_not_store_may_verify_and_is_answered_so(tmp_path: Path, ae_title: str) -> None:
    senders = ({"ae_title": "CT1"}, {"ae_title": "VIEWER", "may_store": False})
    with listening(tmp_path, node={}, senders=senders, destinations=(PACS,)) as node:
        assert echo(node.peer, caller=by(ae_title)) > 0
        with calling(node.peer, [CT_IMAGE], ae_title=ae_title) as association:
            response = association.send_c_store(IMAGES[0])
        assert response.Status == 0x0124
        assert response.ErrorComment == "this application entity may not store"
        assert node.kept() == []
        assert store(node.peer, IMAGES[:1]) == [0]


def test_both_directions_name_this_implementation(tmp_path: Path) -> None:
    with listening(tmp_path, node={}) as node, calling(node.peer, [CT_IMAGE]) as association:
        for side in (association.acceptor, association.requestor):
            assert side.implementation_class_uid == UID(IMPLEMENTATION_CLASS_UID)
            assert side.implementation_version_name == IMPLEMENTATION_VERSION_NAME


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_a_sender_with_its_certificate_stores_over_tls(
    tmp_path: Path, made: Certificates, version: str
) -> None:
    senders = ({"ae_title": "CT1", "certificate_names": ["ct1"]},)
    tls = made.tls(minimum_version="1.3" if version == "TLSv1_3" else "1.2")
    with listening(tmp_path, node={"tls": True}, tls=tls, senders=senders) as node:
        caller = caller_of(Settings(tls=made.tls("ct1"), node={"ae_title": "CT1"}))  # type: ignore[arg-type]
        assert caller.tls is not None
        caller.tls.maximum_version = ssl.TLSVersion[version]
        context = build_context(CT_IMAGE, "1.2.840.10008.1.2.1")
        with associated(node.peer, [context], caller=caller) as association:
            assert association.send_c_store(IMAGES[0]).Status == 0
        assert len(node.kept()) == 1


def test_a_certificate_opens_only_what_is_bound_to_it(tmp_path: Path, made: Certificates) -> None:
    senders = (
        {"ae_title": "CT1", "certificate_names": ["ct1"]},
        {"ae_title": "CT2", "certificates_sha256": [made.sha256("pacs")]},
    )
    with listening(tmp_path, node={"tls": True}, tls=made.tls(), senders=senders) as node:

        def known(ae_title: str, certificate: str) -> bool:
            caller = caller_of(Settings(tls=made.tls(certificate), node={"ae_title": ae_title}))  # type: ignore[arg-type]
            try:
                return echo(node.peer, caller=caller) > 0
            except PeerRefusedError as error:
                assert "does not know our AE title" in str(error)  # noqa: PT017
                return False

        assert known("CT1", "ct1")
        assert known("CT2", "pacs")
        assert not known("CT1", "pacs")
        assert not known("CT2", "ct1")
        assert not known("CT3", "ct1")


def test_without_a_certificate_of_the_site_nobody_gets_in(
    tmp_path: Path, made: Certificates
) -> None:
    with listening(tmp_path, node={"tls": True}, tls=made.tls()) as node:
        nobody = ssl.create_default_context(cafile=made.authorities)
        stranger = caller_of(Settings(tls=made.tls("stranger")))
        for caller in (by("CT1", tls=nobody), stranger):
            with pytest.raises((PeerRefusedError, PeerUnavailableError)):
                echo(node.peer, caller=caller)
        plain = Peer("MIDLINE", node.peer.host, node.peer.port)
        with pytest.raises(PeerUnavailableError):
            echo(plain, caller=by("CT1"))
        assert echo(node.peer, caller=caller_of(Settings(tls=made.tls("ct1")))) > 0


def test_the_certificate_of_a_peer_is_compared_with_its_host(made: Certificates) -> None:
    faults = {
        "elsewhere": "it is that of another address",
        "stranger": "its authority is not among tls.authorities",
        "expired": "it is expired",
    }
    caller = caller_of(Settings(tls=made.tls()))
    for name, fault in faults.items():
        with running_pacs(certificates=(made, name)) as pacs:
            with pytest.raises(PeerRefusedError, match="no TLS connection with PACS@") as caught:
                echo(pacs.peer, caller=caller)
            assert fault in str(caught.value)
    with running_pacs(certificates=(made, "pacs")) as pacs:
        assert echo(pacs.peer, caller=caller) > 0
        by_name = Peer("PACS", "localhost", pacs.peer.port, tls=True)
        assert echo(by_name, caller=caller) > 0


def test_a_plain_peer_is_told_from_one_that_is_down(made: Certificates) -> None:
    caller = caller_of(Settings(tls=made.tls()))
    with running_pacs() as pacs:
        over_tls = Peer("PACS", pacs.peer.host, pacs.peer.port, tls=True)
        with pytest.raises((PeerRefusedError, PeerUnavailableError)):
            echo(over_tls, caller=caller)


def test_an_unknown_host_is_worth_a_retry() -> None:
    nowhere = Peer("PACS", "no-such-host.invalid", 104)
    with pytest.raises(PeerUnavailableError, match="host name is not known"):
        echo(nowhere, caller=by("MIDLINE"))
