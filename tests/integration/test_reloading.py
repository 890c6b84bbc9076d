"""Settings that change while a listener runs: who calls stays, and what is faulty is refused."""

import hashlib
import logging
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from config.errors import PeerRefusedError
from config.settings import load_settings
from node.custody import Stores
from node.engine import Queues, migrate
from node.listener import CT_IMAGE, listen
from node.peers import Caller, Peer, echo
from node.reloading import Source
from node.tls import client_context
from storage.database import Database
from storage.files import FileStore
from tests.support.certificates import Certificates, make_certificates
from tests.support.ct_series import head_series, stack
from tests.support.pacs import free_port
from tests.support.sender import TIMEOUTS, calling
from tests.support.waiting import eventually, port_is_open

FILE = """
[node]
port = {port}
{node}
[completion]
quiet_after_release_seconds = 600
{rest}
[[senders]]
ae_title = "{sender}"
"""


@dataclass
class Running:
    """A listener whose settings file may be written anew."""

    path: Path
    peer: Peer
    source: Source
    node: str = ""
    rest: str = ""

    def write(self, sender: str, **more: str) -> None:
        given = {"node": self.node, "rest": self.rest} | more
        text = FILE.format(port=self.peer.port, sender=sender, **given)
        self.path.write_text(text, encoding="utf-8")

    def lets_in(self, ae_title: str) -> bool:
        try:
            echo(self.peer, caller=Caller(ae_title, TIMEOUTS))
        except PeerRefusedError:
            return False
        return True


@contextmanager
def running(folder: Path, *, node: str = "", rest: str = "") -> Iterator[Running]:
    peer = Peer("MIDLINE", "127.0.0.1", free_port())
    made = Running(folder / "site.toml", peer, Source(folder / "site.toml"), node, rest)
    made.write("CT1")
    settings = load_settings(made.path)
    database = Database(f"sqlite:///{folder / 'midline.sqlite'}")
    database.upgrade()
    migrate(database)
    stores = Stores(
        database,
        FileStore(folder / "files", reserve_bytes=0),
        Queues(database.engine),
        max_instance_bytes=1 << 24,
    )
    stop = threading.Event()
    thread = threading.Thread(target=listen, args=(settings, stores, stop, made.source))
    thread.start()
    try:
        eventually(lambda: port_is_open(peer.port))
        yield made
    finally:
        stop.set()
        thread.join()
        stores.queues.close()
        database.close()


def test_an_association_that_is_open_goes_on_over_a_reload(tmp_path: Path) -> None:
    first, second = head_series(stack(range(0, 20, 10), size=32, pixel_mm=7.0))
    with running(tmp_path) as node:
        with calling(node.peer, [CT_IMAGE]) as association:
            assert association.send_c_store(first).Status == 0
            node.write("CT2")
            node.source.asked.set()
            eventually(lambda: node.lets_in("CT2"))
            assert not node.lets_in("CT1")
            assert association.send_c_store(second).Status == 0
        assert not node.lets_in("CT1")


def test_a_faulty_file_is_refused_in_one_line_and_the_old_settings_stay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "node.reloading")
    with running(tmp_path) as node:
        for fault in (
            "[[senders]]\nae_titel = 'CT9'",
            "[[senders]]\nae_title = 'CT2'\ncertificate_names = ['ct2']",
        ):
            caplog.clear()
            node.write("CT2", rest=fault)
            node.source.asked.set()
            (record,) = eventually(lambda: list(caplog.records))
            assert record.levelno == logging.ERROR
            assert record.getMessage().startswith("the settings stay as they were: ")
            assert "\n" not in record.getMessage()
            assert node.lets_in("CT1")
            assert not node.lets_in("CT2")


def test_what_only_a_new_start_can_change_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "node.reloading")
    with running(tmp_path) as node:
        node.write("CT1", node="max_associations = 7", rest="by_evidence = false")
        node.source.asked.set()
        (record,) = eventually(lambda: list(caplog.records))
        assert record.getMessage() == (
            "the settings were read again: completion.by_evidence changed; "
            "after a new start also node.max_associations"
        )


def test_a_new_certificate_is_shown_after_a_reload(tmp_path: Path) -> None:
    made = make_certificates(tmp_path / "certificates")
    live = made.folder / "live.pem", made.folder / "live.key"
    install(made, "node", live)
    rest = f"""
    [tls]
    certificate = "{live[0]}"
    private_key = "{live[1]}"
    authorities = "{made.authorities}"
    """
    with running(tmp_path, node="tls = true", rest=rest) as node:
        assert shown(node.peer.port, made) == made.sha256("node")
        install(made, "pacs", live)
        assert shown(node.peer.port, made) == made.sha256("node")
        node.source.asked.set()
        eventually(lambda: shown(node.peer.port, made) == made.sha256("pacs"))
        install(made, "expired", live)
        node.source.asked.set()
        eventually(lambda: not node.source.asked.is_set())
        assert shown(node.peer.port, made) == made.sha256("pacs")


def install(made: Certificates, name: str, live: tuple[Path, Path]) -> None:
    """Put a certificate and its key where the settings say."""
    for source, target in zip((made.certificate(name), made.key(name)), live, strict=True):
        shutil.copy(source, target)


def shown(port: int, made: Certificates) -> str:
    """Digest of the certificate that the node shows."""
    context = client_context(made.tls("ct1"), now=datetime.now(UTC))
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as spoken,
    ):
        return hashlib.sha256(spoken.getpeercert(binary_form=True) or b"").hexdigest()


def test_a_service_manager_is_told_when_the_port_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(address))
        manager.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(address))
        with running(tmp_path) as node:
            assert manager.recv(100) == b"READY=1"
            assert node.lets_in("CT1")
