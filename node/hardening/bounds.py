"""How much a peer may send, and how slowly: judged on the bytes, before anything is made of them.

Nothing here knows pynetdicom. PDUs are those of PS3.8 9.3; a P-DATA-TF carries fragments of the
command set and of the data set of a DIMSE message (PS3.8 Annex E).
"""

import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum

SMALLEST_LIMIT_BYTES = 1 << 20
"""An A-ASSOCIATE-RQ may be longer than the own maximum PDU; this much is always allowed."""
SECONDS_FOR_A_PDU = 30.0
SLOWEST_BYTES_PER_SECOND = 1 << 16
"""A message that takes longer than a silent peer may be silent, has to arrive as fast as this."""
LARGEST_COMMAND_SET_BYTES = 1 << 16
MOST_FRAGMENTS = 256
"""Fragments in one PDU; one or two are usual."""
MOST_CONTEXTS = 128
"""PS3.8 9.3.2.2: presentation context identifiers are the odd numbers from 1 to 255."""
MOST_SYNTAXES = 96
"""Abstract and transfer syntaxes of one context; the standard has about sixty transfer syntaxes."""
MOST_USER_ITEMS = 1024
"""Sub-items of the user information: roles and extended negotiation of each class, at most."""
FIXED_BYTES = 4
"""Length of A-ASSOCIATE-RJ, A-RELEASE and A-ABORT (PS3.8 9.3.4, 9.3.6 to 9.3.8)."""
SHARED_DATA_SETS = 4
"""Data sets of the largest size that all connections together may hold at the same time."""

_REQUEST_HEADER_BYTES = 68
"""Of an A-ASSOCIATE-RQ or -AC, before its items."""
_PRESENTATION_CONTEXTS = (0x20, 0x21)
_USER_INFORMATION = 0x50


class PDUType(IntEnum):
    """Kinds of PDU (PS3.8 9.3)."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    P_DATA_TF = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


NEGOTIATING = (PDUType.ASSOCIATE_RQ, PDUType.ASSOCIATE_AC)


class BoundError(OSError):
    """A peer went over a bound; an OSError makes pynetdicom close the connection."""


@dataclass(frozen=True)
class Limits:
    """What one application entity takes.

    Attributes
    ----------
    data_set_bytes
        Longest data set.
    message_seconds
        So long a DIMSE message may take whatever its size; from then on its rate counts.
    """

    data_set_bytes: int = 512 << 20
    message_seconds: float = 60.0


class Room:
    """Bytes that all connections of an application entity share."""

    def __init__(self, num_bytes: int) -> None:
        self._left = num_bytes
        self._lock = threading.Lock()

    def take(self, num_bytes: int) -> bool:
        """Use up some of it; False, and nothing is used, if there is not so much."""
        with self._lock:
            if num_bytes > self._left:
                return False
            self._left -= num_bytes
            return True

    def give_back(self, num_bytes: int) -> None:
        """Let others use it."""
        with self._lock:
            self._left += num_bytes


def check_length(pdu_type: PDUType, length: int, *, longest: int) -> None:
    """Check the announced length of a PDU.

    Raises
    ------
    BoundError
        If it is longer than its kind may be.
    """
    is_variable = pdu_type in (*NEGOTIATING, PDUType.P_DATA_TF)
    limit = longest if is_variable else FIXED_BYTES
    if length > limit:
        raise BoundError(f"a PDU of {length} bytes was announced, the limit is {limit}")


def check_negotiation(body: bytes) -> None:
    """Check how many items an A-ASSOCIATE-RQ or -AC holds (PS3.8 9.3.2, PS3.7 D.3.3).

    Parameters
    ----------
    body
        The PDU without its type and length.

    Raises
    ------
    BoundError
        If it holds more than anybody needs, or its items do not fit into it.
    """
    num_contexts = num_user_items = 0
    for item_type, content in _items(body, _REQUEST_HEADER_BYTES):
        if item_type in _PRESENTATION_CONTEXTS:
            num_contexts += 1
            _at_most(sum(1 for _ in _items(content, 4)), MOST_SYNTAXES, "syntaxes of a context")
        elif item_type == _USER_INFORMATION:
            num_user_items += sum(1 for _ in _items(content, 0))
        _at_most(num_contexts, MOST_CONTEXTS, "presentation contexts")
        _at_most(num_user_items, MOST_USER_ITEMS, "items of user information")


def _at_most(number: int, limit: int, what: str) -> None:
    if number > limit:
        raise BoundError(f"more than {limit} {what} were proposed")


def _items(content: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
    """Walk over items: type, reserved, two bytes of length, content."""
    while offset < len(content):
        if offset + 4 > len(content):
            raise BoundError("an item of a PDU is cut short")
        item_type, _, length = struct.unpack_from(">BBH", content, offset)
        offset += 4
        if offset + length > len(content):
            raise BoundError("an item of a PDU is longer than the PDU")
        yield item_type, content[offset : offset + length]
        offset += length


@dataclass(frozen=True)
class Fragment:
    """A part of a DIMSE message (PS3.8 Annex E.2)."""

    is_command: bool
    num_bytes: int


def fragments(body: bytes | bytearray) -> Iterator[Fragment]:
    """Walk over the presentation data values of a P-DATA-TF (PS3.8 9.3.5.1).

    Raises
    ------
    BoundError
        If there are too many, or they do not fit into the PDU.
    """
    offset = number = 0
    while offset < len(body):
        number += 1
        if number > MOST_FRAGMENTS:
            raise BoundError(f"a PDU holds more than {MOST_FRAGMENTS} fragments")
        if offset + 6 > len(body):
            raise BoundError("a fragment is cut short")
        length, _, control = struct.unpack_from(">IBB", body, offset)
        if length < 2 or offset + 4 + length > len(body):
            raise BoundError("a fragment does not fit into its PDU")
        yield Fragment(is_command=bool(control & 1), num_bytes=length - 2)
        offset += 4 + length


class Arrival:
    """The DIMSE message that arrives on one connection: how large it may get, and how slowly.

    Parameters
    ----------
    limits
        Of the application entity.
    room
        What all of its connections share; without, only the own limit holds.
    """

    def __init__(
        self,
        limits: Limits,
        room: Room | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits, self._room, self._clock = limits, room, clock
        self._began_at = clock()
        self._on_wire = self._in_command = self._in_data_set = 0

    def take(self, body: bytes | bytearray, *, begins: bool) -> None:
        """Count a P-DATA-TF.

        Parameters
        ----------
        body
            The PDU without its type and length.
        begins
            Whether it is the first of its message; the one before is done with.

        Raises
        ------
        BoundError
            If command set or data set get too large, or arrive too slowly.
        """
        if begins:
            self.end()
            self._began_at = self._clock()
            self._on_wire = 0
        self._on_wire += len(body)
        elapsed = self._clock() - self._began_at
        if elapsed > self._limits.message_seconds + self._on_wire / SLOWEST_BYTES_PER_SECOND:
            raise BoundError("a message arrives too slowly")
        for fragment in fragments(body):
            if fragment.is_command:
                self._in_command += fragment.num_bytes
            else:
                self._hold(fragment.num_bytes)
        if self._in_command > LARGEST_COMMAND_SET_BYTES:
            raise BoundError(f"a command set is longer than {LARGEST_COMMAND_SET_BYTES} bytes")

    def end(self) -> None:
        """Forget the message: it was answered, or its connection ended."""
        if self._room is not None:
            self._room.give_back(self._in_data_set)
        self._in_command = self._in_data_set = 0

    def _hold(self, num_bytes: int) -> None:
        limit = self._limits.data_set_bytes
        if self._in_data_set + num_bytes > limit:
            raise BoundError(f"a data set is longer than {limit} bytes")
        if self._room is not None and not self._room.take(num_bytes):
            raise BoundError("all connections together hold too many bytes")
        self._in_data_set += num_bytes
