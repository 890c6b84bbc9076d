"""Holes of pynetdicom 3.0.4 that this node closes before it talks to anybody.

* The announced length of a PDU is believed before the peer is known: `HardSocket.recv` bounds it.
* A read waits for ever for a peer that drips: one deadline holds for each PDU.
* It reads 4 KiB at a time: here up to 64 KiB.
* A refused connection leaves its socket open until the garbage collector comes.
"""

import contextlib
import time
from typing import Any

import pynetdicom.ae
from pynetdicom import _config, transport
from pynetdicom.transport import AssociationSocket

SMALLEST_LIMIT_BYTES = 1 << 20
"""An A-ASSOCIATE-RQ may be longer than the own maximum PDU; this much is always allowed."""
PIECE_BYTES = 1 << 16
SECONDS_FOR_A_PDU = 30.0


class PDULengthError(OSError):
    """A peer announced a PDU above the limit; an OSError makes pynetdicom close the connection."""


class HardSocket(AssociationSocket):
    """Transport connection that bounds a PDU in length and time, and closes what it opened."""

    def recv(self, nr_bytes: int) -> bytearray:
        """Read exactly so many bytes, or fewer if the peer closes.

        pynetdicom calls it with 6 for the header of a PDU, then with the length it announces.

        Raises
        ------
        PDULengthError
            If more is announced than is allowed.
        TimeoutError
            If the bytes do not come in time.
        """
        limit = max(self.assoc.ae.maximum_pdu_size or 0, SMALLEST_LIMIT_BYTES)
        if nr_bytes > limit:
            raise PDULengthError(f"a PDU of {nr_bytes} bytes was announced, the limit is {limit}")
        connection = self.socket
        received = bytearray()
        if connection is None:
            return received
        before, end = connection.gettimeout(), time.monotonic() + SECONDS_FOR_A_PDU
        try:
            while len(received) < nr_bytes:
                connection.settimeout(max(end - time.monotonic(), 0.001))
                piece = connection.recv(min(nr_bytes - len(received), PIECE_BYTES))
                if not piece:
                    break
                received += piece
        finally:
            with contextlib.suppress(OSError):
                connection.settimeout(before)
        return received

    def connect(self, primitive: Any) -> None:
        """Connect to a peer; if that fails, close the socket at once."""
        connection = self.socket
        super().connect(primitive)
        if self.socket is None and connection is not None:
            connection.close()


def install() -> None:
    """Put the hardened parts in place; before the first association, in both directions."""
    transport.AssociationSocket = HardSocket  # type: ignore[misc]
    pynetdicom.ae.AssociationSocket = HardSocket  # type: ignore[attr-defined]
    # both are on by default, and write identifiers of patients to the log
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
