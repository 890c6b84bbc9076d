"""A server that never waits for a peer, and counts connections when it accepts them."""

import logging
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pynetdicom import AE
from pynetdicom.events import EventHandlerType
from pynetdicom.transport import AddressInformation, ThreadedAssociationServer

from node.hardening.associations import HardAssociation
from node.hardening.provider import DirectStore

logger = logging.getLogger(__name__)

SECONDS_TO_END = 10.0
LOOK_SECONDS = 0.02


class Breach(Enum):
    """Why a connection was ended that was let in by nobody yet."""

    AUTHENTICATION = "AUTHENTICATION"
    """TLS did not accept the certificate or the ways of the peer."""
    LIMIT = "LIMIT"
    """There was more of something than is allowed."""


Alarm = Callable[[Breach, str, str], None]
"""Is told of a breach, the address and the reason; must not wait."""


def unalarmed(_breach: Breach, _address: str, _reason: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class ConnectionLimits:
    """How many connections are open at the same time.

    Attributes
    ----------
    in_all
        From everywhere.
    per_address
        From one address.
    handshake_seconds
        Time for the TLS handshake.
    """

    in_all: int = 60
    per_address: int = 10
    handshake_seconds: float = 10.0


class HardServer(ThreadedAssociationServer):
    """Server that counts connections at accept, and shakes hands in the connection's thread.

    Attributes
    ----------
    is_ending
        Whether nothing more is accepted or read.
    direct_store
        Answers C-STORE requests in the thread of the connection; without, pynetdicom's events do.
    """

    request_queue_size = 128
    daemon_threads = True

    def __init__(
        self,
        *args: Any,
        limits: ConnectionLimits,
        tls: ssl.SSLContext | None,
        alarm: Alarm = unalarmed,
        shared: bool = False,
        **kwargs: Any,
    ) -> None:
        self._limits, self._tls, self._is_shared = limits, tls, shared
        self.alarm = alarm
        self._open: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._is_full = False
        self.is_ending = False
        self.direct_store: DirectStore | None = None
        super().__init__(*args, **kwargs)

    def server_bind(self) -> None:
        """Bind the port; a shared one together with others that share it (SO_REUSEPORT)."""
        if self._is_shared and self.socket is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept without a handshake: the loop that accepts must never wait for a peer."""
        assert self.socket is not None  # noqa: S101 - open as long as the loop runs
        connection, address = self.socket.accept()
        connection.settimeout(self._limits.handshake_seconds)
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002
        """Count a connection before a thread is started; what is too much is closed at once."""
        address = _key(client_address)
        limits = self._limits
        with self._lock:
            is_full = (
                self._open.total() >= limits.in_all or self._open[address] >= limits.per_address
            )
            if not is_full:
                self._open[address] += 1
        if is_full and not self._is_full:
            # once, until one is let in again: a flood does not fill the log
            logger.warning("too many connections; those from %s are closed at once", address)
            self.alarm(Breach.LIMIT, address, "too many connections")
        self._is_full = is_full
        return not is_full

    def forget(self, address: str) -> None:
        """Count a connection no more: its association ended, or never began."""
        with self._lock:
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Shake hands, then have the association begin; from then on it has its own thread."""
        try:
            if self._tls is not None:
                request = self._tls.wrap_socket(
                    request, server_side=True, do_handshake_on_connect=False
                )
                request.do_handshake()
            request.settimeout(self.ae.network_timeout)
            self.finish_request(request, client_address)
        except Exception as error:  # noqa: BLE001 - whatever it was, it concerns one connection
            reason = getattr(error, "reason", None) or type(error).__name__
            logger.warning("no association with %s: %s", client_address[0], reason)
            if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
                # whoever only tries whether the port is open is no stranger yet
                self.alarm(Breach.AUTHENTICATION, _key(client_address), f"no TLS: {reason}")
            self.shutdown_request(request)
            self.forget(_key(client_address))

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Log a fault as one line; the base class writes a traceback to standard error."""
        logger.exception("a connection with %s could not be served", client_address[0])

    def shutdown(self) -> None:
        """Accept and read no more; wait a little for the requests that are being answered."""
        self.is_ending = True
        super().shutdown()
        until = time.monotonic() + SECONDS_TO_END
        while time.monotonic() < until and self._answers():
            time.sleep(LOOK_SECONDS)

    def _answers(self) -> bool:
        """Whether a request is being answered, or waits for it."""
        return any(
            isinstance(each, HardAssociation) and each.is_busy for each in self.active_associations
        )


def _key(client_address: Any) -> str:
    """Address of a connection, as its association knows it."""
    return AddressInformation.from_tuple(client_address).address


def serve(
    ae: AE,
    address: tuple[str, int],
    handlers: Sequence[EventHandlerType],
    *,
    limits: ConnectionLimits,
    store: DirectStore | None = None,
    tls: ssl.SSLContext | None = None,
    alarm: Alarm = unalarmed,
    shared: bool = False,
) -> HardServer:
    """Serve an application entity in threads of this process; `shutdown` of the server ends it.

    Parameters
    ----------
    ae
        With its supported contexts.
    address
        Host and port; port 0 lets the system choose one.
    handlers
        As of `AE.start_server`.
    limits
        For its connections.
    store
        Answers C-STORE requests in the thread of the connection; without, the handlers do.
    tls
        Context of a server; without, the port is plain.
    alarm
        Is told of who was turned away.
    shared
        Whether other processes of the same user listen on the same port; the system deals
        connections out to them.

    Raises
    ------
    OSError
        If the port cannot be opened.
    """
    server = ae.make_server(
        address,
        evt_handlers=list(handlers),
        server_class=HardServer,
        limits=limits,
        tls=tls,
        alarm=alarm,
        shared=shared,
    )
    assert isinstance(server, HardServer)  # noqa: S101 - it was asked for
    server.direct_store = store
    # `shutdown` takes it from this list
    ae._servers.append(server)
    threading.Thread(target=server.serve_forever, name="dicom-server", daemon=True).start()
    return server
