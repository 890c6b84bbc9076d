"""A transport connection that reads and writes within bounds, and closes what it opened."""

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Iterator

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.transport import T_CONNECT, AddressInformation, AssociationSocket

from node.hardening.associations import HardAssociation
from node.hardening.bounds import (
    NEGOTIATING,
    SECONDS_FOR_A_PDU,
    SMALLEST_LIMIT_BYTES,
    Arrival,
    BoundError,
    Limits,
    PDUType,
    check_length,
    check_negotiation,
)
from node.hardening.entity import HardAE
from node.hardening.provider import HardProvider
from node.hardening.server import Breach, HardServer

logger = logging.getLogger(__name__)

PIECE_BYTES = 1 << 16
"""Read at a time; pynetdicom reads 4 KiB."""
A_ABORT = bytes((PDUType.ABORT, 0, 0, 0, 0, 4, 0, 0, 2, 0))
"""By the service provider, without a reason (PS3.8 9.3.8)."""
SECONDS_FOR_A_FAREWELL = 1.0
ESTABLISHED = "Sta6"
"""State in which messages are exchanged (PS3.8 Table 9-4)."""


class HardSocket(AssociationSocket):
    """Transport connection that bounds what arrives, and how long anything may take.

    Attributes
    ----------
    failure
        What ended the connection, if the transport did: why a peer cannot be reached, or what TLS
        found wrong with a certificate.
    """

    _is_open = _was_open = False

    def __init__(
        self,
        assoc: Association,
        client_socket: socket.socket | None = None,
        address: AddressInformation | None = None,
    ) -> None:
        super().__init__(assoc, client_socket, address)
        self.failure: OSError | None = None
        ae = assoc.ae
        limits, room = (ae.limits, ae.room) if isinstance(ae, HardAE) else (Limits(), None)
        self._longest = max(ae.maximum_pdu_size or 0, SMALLEST_LIMIT_BYTES)
        self._arrival = Arrival(limits, room)
        self._pdu_type: PDUType | None = None
        self._end = 0.0

    @property
    def _is_connected(self) -> bool:
        """Whether the connection is open; to others than its own thread, whether it ever was.

        An association that was requested looks once whether it is connected. A peer that rejects it
        quickly has closed the connection by then, and would be taken for one that is not there.
        """
        is_own = threading.current_thread() is self.assoc.dul
        return self._is_open if is_own else self._was_open

    @_is_connected.setter
    def _is_connected(self, is_open: bool) -> None:
        self._is_open = is_open
        self._was_open = self._was_open or is_open

    @property
    def ready(self) -> bool:
        """Whether there is something to read, and time for it.

        A peer that does not wait for its answers has to: while a request is served or waits, the
        next one is left where it is; and no other one is begun when the server ends.
        """
        return not (self._is_busy() or self._is_ending()) and super().ready

    def _is_busy(self) -> bool:
        association = self.assoc
        is_established = association.dul.state_machine.current_state == ESTABLISHED
        return is_established and isinstance(association, HardAssociation) and association.is_busy

    def _is_ending(self) -> bool:
        server = self.assoc._server
        return isinstance(server, HardServer) and server.is_ending

    def recv(self, nr_bytes: int) -> bytearray:
        """Read exactly so many bytes, or fewer if the peer closes.

        pynetdicom calls it with 6 for the header of a PDU, then with the length it announces.

        Raises
        ------
        BoundError
            If the PDU, or the message that it is a part of, is more than is allowed.
        TimeoutError
            If the bytes do not come in time.
        """
        try:
            if self._pdu_type is None:
                return self._header(nr_bytes)
            pdu_type, self._pdu_type = self._pdu_type, None
            check_length(pdu_type, nr_bytes, longest=self._longest)
            body = self._read(nr_bytes)
            if len(body) == nr_bytes:
                self._check(pdu_type, body)
        except BoundError as error:
            address, server = self._remote_address(), self.assoc._server
            logger.warning("ended a connection with %s: %s", address, error)
            if isinstance(server, HardServer):
                server.alarm(Breach.LIMIT, address, str(error))
            self._say_farewell()
            raise
        except OSError as error:
            self.failure = error
            raise
        return body

    def _header(self, nr_bytes: int) -> bytearray:
        seconds = SECONDS_FOR_A_PDU
        association = self.assoc
        if association.is_acceptor and association.requestor.primitive is None:
            seconds = min(seconds, association.acse_timeout or seconds)
        self._end = time.monotonic() + seconds
        header = self._read(nr_bytes)
        # of another kind pynetdicom does not read on
        if len(header) == nr_bytes and header[0] in PDUType.__members__.values():
            self._pdu_type = PDUType(header[0])
        return header

    def _check(self, pdu_type: PDUType, body: bytearray) -> None:
        if pdu_type in NEGOTIATING:
            check_negotiation(bytes(body))
        elif pdu_type == PDUType.P_DATA_TF:
            provider = self.assoc.dul
            begins = isinstance(provider, HardProvider) and provider.begins_message
            self._arrival.take(body, begins=begins)

    def _read(self, nr_bytes: int) -> bytearray:
        """Read so many bytes before the end of the time for this PDU."""
        received = bytearray()
        connection = self.socket
        if connection is None:
            return received
        with _own_timeout(connection):
            while len(received) < nr_bytes:
                connection.settimeout(max(self._end - time.monotonic(), 0.001))
                piece = connection.recv(min(nr_bytes - len(received), PIECE_BYTES))
                if not piece:
                    break
                received += piece
        return received

    def send(self, bytestream: bytes) -> None:
        """Write a PDU before its time ends: a peer that does not read holds nothing up."""
        connection, association, seconds = self.socket, self.assoc, SECONDS_FOR_A_PDU
        if association.is_requestor:
            # an archive whose disk is busy gets the patience that the site has with it
            seconds = max(seconds, association.network_timeout or 0)
        end, left = time.monotonic() + seconds, memoryview(bytestream)
        try:
            if connection is None:
                raise ConnectionError("the connection is closed")
            with _own_timeout(connection):
                while left:
                    connection.settimeout(max(end - time.monotonic(), 0.001))
                    left = left[connection.send(left) :]
        except OSError as error:
            self.failure = error
            self.event_queue.put("Evt17")  # transport connection closed
            return
        evt.trigger(association, evt.EVT_DATA_SENT, {"data": bytestream})

    def connect(self, primitive: T_CONNECT) -> None:
        """Connect to a peer, with TLS if it speaks that; keep what went wrong."""
        try:
            self._open(primitive)
            primitive.result = "Evt2"  # transport connection confirmed
        except OSError as error:
            self.failure = error
            if self.socket is not None:
                self.socket.close()
            self.socket = None
            primitive.result = "Evt17"
        finally:
            self.provider_queue.put(primitive)
            self._ready.set()

    def _open(self, primitive: T_CONNECT) -> None:
        connection = self.socket
        if connection is None:
            raise ConnectionError("the connection is closed")
        address = primitive.address_info.as_tuple
        connection.settimeout(self.assoc.connection_timeout)
        connection.connect(address)
        if self.tls_args:
            context, name = self.tls_args
            self.socket = connection = context.wrap_socket(connection, server_hostname=name)
        connection.settimeout(None)
        self.assoc.requestor.address_info = AddressInformation.from_tuple(connection.getsockname())
        self._is_connected = True
        evt.trigger(self.assoc, evt.EVT_CONN_OPEN, {"address": address})

    def leave(self) -> None:
        """Close the connection, and give back what its last message held."""
        self._arrival.end()
        self._shutdown_socket()

    def _shutdown_socket(self) -> None:
        """Close the connection, also if it cannot be shut down any more."""
        connection = self.socket
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                connection.close()

    def _say_farewell(self) -> None:
        """Send A-ABORT, if the peer takes it."""
        connection = self.socket
        if connection is None:
            return
        with contextlib.suppress(OSError):
            connection.settimeout(SECONDS_FOR_A_FAREWELL)
            connection.sendall(A_ABORT)

    def _remote_address(self) -> str:
        association = self.assoc
        remote = association.requestor if association.is_acceptor else association.acceptor
        return "?" if remote.address_info is None else remote.address_info.address


@contextlib.contextmanager
def _own_timeout(connection: socket.socket) -> Iterator[None]:
    """Let a connection have its own time-out again afterwards."""
    before = connection.gettimeout()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            connection.settimeout(before)
