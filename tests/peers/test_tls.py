"""TLS with other people's software, in both directions: who gets in, and in which version."""

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from config.errors import PeerRefusedError, PeerUnavailableError
from config.settings import Settings, TLSSettings
from node.caller import caller_of
from node.cli.sending import find_files, send_files
from node.peers import Peer, echo
from tests.support.certificates import Certificates, make_certificates
from tests.support.ct_series import head_series, stack, write
from tests.support.listening import Listening, listening
from tests.support.peers_kit import dcmtk, peers

pytestmark = [pytest.mark.peers, pytest.mark.timeout(300)]

NAME = "midline-tls"
NUM_IMAGES = 4


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates of the kit: RSA, by OpenSSL; ``pacs``, ``node`` and ``stranger``."""
    folder = tmp_path_factory.mktemp("kit")
    peers("certs", folder)
    for key in folder.glob("*.key"):
        key.chmod(0o600)
    return Certificates(folder)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates of `midline certs`: elliptic curves."""
    return make_certificates(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    write(head_series(stack(range(0, 5 * NUM_IMAGES, 5), size=64, pixel_mm=3.6)), folder)
    return folder


@pytest.fixture
def node(tmp_path: Path, kit: Certificates) -> Iterator[Listening]:
    """A node that knows PACS by the kit's certificate ``pacs``, and OTHER by another one."""
    senders = (
        {"ae_title": "PACS", "certificate_names": ["pacs"]},
        {"ae_title": "OTHER", "certificates_sha256": ["0" * 64]},
    )
    with listening(tmp_path, node={"tls": True}, tls=kit.tls(), senders=senders) as running:
        yield running


def shown(made: Certificates, name: str) -> Sequence[object]:
    """How DCMTK is told to show a certificate, and whom to believe."""
    return ("+tls", made.key(name), made.certificate(name), "+cf", made.authorities)


def is_refused(program: str, *words: object) -> bool:
    path = Path("/usr/bin") / program
    if not path.exists():
        pytest.skip(f"{path} of DCMTK is not installed; `peers install` does it")
    return subprocess.run([path, *map(str, words)], capture_output=True, check=False).returncode > 0


@pytest.mark.parametrize("profile", ["+py", "+px", "+pz"])
def test_dcmtk_verifies_in_each_of_its_profiles(
    node: Listening, kit: Certificates, profile: str
) -> None:
    address = ("-aet", "PACS", "-aec", "MIDLINE", "127.0.0.1", node.peer.port)
    dcmtk("echoscu", *shown(kit, "pacs"), profile, *address)


def test_dcmtk_stores_over_tls(node: Listening, kit: Certificates, images: Path) -> None:
    (sent,) = peers(
        "send", images, "--to", f"MIDLINE@127.0.0.1:{node.peer.port}", "--from", "PACS",
        "--tls", kit.folder, "--identity", "pacs", "--associations", 2,
    )  # fmt: skip
    assert (sent["instances"], sent["failures"]) == (NUM_IMAGES, 0)
    assert len(node.kept()) == NUM_IMAGES


def test_dcmtk_stores_with_elliptic_curves(
    tmp_path: Path, ours: Certificates, images: Path
) -> None:
    senders = ({"ae_title": "CT1", "certificates_sha256": [ours.sha256("ct1")]},)
    with listening(tmp_path, node={"tls": True}, tls=ours.tls(), senders=senders) as node:
        address = ("-aet", "CT1", "-aec", "MIDLINE", "127.0.0.1", node.peer.port)
        dcmtk("storescu", *shown(ours, "ct1"), "-R", *address, *sorted(images.glob("*")))
        assert len(node.kept()) == NUM_IMAGES


@pytest.mark.parametrize(
    "words",
    [
        ("-aet", "OTHER"),
        ("-aet", "NOBODY"),
    ],
)
def test_a_certificate_that_is_not_bound_to_the_title_is_refused(
    node: Listening, kit: Certificates, words: tuple[str, ...]
) -> None:
    address = (*words, "-aec", "MIDLINE", "127.0.0.1", node.peer.port)
    assert is_refused("echoscu", *shown(kit, "pacs"), *address)


def test_strangers_and_who_shows_nothing_are_refused(
    node: Listening, kit: Certificates, images: Path
) -> None:
    address = ("-aet", "PACS", "-aec", "MIDLINE", "127.0.0.1", node.peer.port)
    file = next(images.glob("*"))
    for program, more in (("echoscu", ()), ("storescu", (file,))):
        assert is_refused(program, *shown(kit, "stranger"), *address, *more)
        assert is_refused(program, "+tla", "-ic", *address, *more)
        assert is_refused(program, *address, *more)
    assert node.kept() == []
    dcmtk("echoscu", *shown(kit, "pacs"), *address)


@pytest.mark.parametrize("oldest", ["1.2", "1.3"])
def test_openssl_agrees_on_the_versions(tmp_path: Path, kit: Certificates, oldest: str) -> None:
    tls = kit.tls(minimum_version=oldest)
    with listening(tmp_path, node={"tls": True}, tls=tls) as node:
        spoken = {
            version
            for version in ("tls1_1", "tls1_2", "tls1_3")
            if _handshakes(node, kit, f"-{version}")
        }
    assert spoken == {"tls1_2", "tls1_3"} - ({"tls1_2"} if oldest == "1.3" else set())


def test_openssl_finds_no_weak_cipher(tmp_path: Path, kit: Certificates) -> None:
    weak = ("AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA256", "DHE-RSA-AES128-GCM-SHA256")
    with listening(tmp_path, node={"tls": True}, tls=kit.tls()) as node:
        assert _handshakes(node, kit, "-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256")
        for cipher in weak:
            assert not _handshakes(node, kit, "-tls1_2", "-cipher", cipher)


def _handshakes(node: Listening, made: Certificates, *words: str) -> bool:
    done = subprocess.run(
        [
            "openssl", "s_client", "-connect", f"127.0.0.1:{node.peer.port}", *words,
            "-cert", made.certificate("pacs"), "-key", made.key("pacs"),
            "-CAfile", made.authorities, "-verify_return_error", "-verify_hostname", "localhost",
        ],
        input=b"Q\n", capture_output=True, check=False,
    )  # fmt: skip
    return done.returncode == 0 and b"Verification: OK" in done.stdout


@pytest.fixture(scope="module", params=["storescp", "pacs"])
def receiver(request: pytest.FixtureRequest, kit: Certificates) -> Iterator[Peer]:
    """A server of the kit that speaks TLS: DCMTK's storescp, and Orthanc."""
    described: dict[str, Any] = peers(request.param, "start", "--name", NAME, "--tls", kit.folder)[
        0
    ]
    try:
        yield Peer(described["aet"], "127.0.0.1", described["dicom_port"], tls=True)
    finally:
        peers(request.param, "stop", "--name", NAME)


def calling(tls: TLSSettings) -> Settings:
    return Settings(tls=tls)


def test_the_node_sends_over_tls(receiver: Peer, kit: Certificates, images: Path) -> None:
    caller = caller_of(calling(kit.tls()))
    assert echo(receiver, caller=caller) > 0
    assert send_files(find_files(images), receiver, caller=caller).num_stored == NUM_IMAGES


def test_a_receiver_refuses_a_stranger_and_the_node_refuses_its_certificate(
    receiver: Peer, kit: Certificates, ours: Certificates
) -> None:
    stranger = caller_of(calling(kit.tls("stranger")))
    with pytest.raises((PeerRefusedError, PeerUnavailableError)):
        echo(receiver, caller=stranger)
    with pytest.raises(PeerRefusedError, match="its authority is not among"):
        echo(receiver, caller=caller_of(calling(ours.tls())))
