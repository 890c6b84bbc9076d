"""Attacks on a DICOM port, from an address of this machine that honest peers do not use.

An attack ends when the port has cut all of it off, or when its time is over.
"""

import contextlib
import socket
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from node.peers import Peer
from tests.support.ct_series import head_series, stack
from tests.support.raw_pdus import (
    ACCEPTED,
    COMMAND_END,
    DATA_SET,
    DEFLATED,
    EXPLICIT_LITTLE_ENDIAN,
    answer,
    association_request,
    data_pdu,
    fragment,
    header,
    store_command,
    store_request,
)
from tests.support.sender import encoded

MIB = 1 << 20
ATTACKER = "127.0.0.2"
PIECE = bytes(MIB)
LOOK_SECONDS = 0.05
SECONDS_OF_TRYING = 5.0
STATUSES = {0x0000: "Success", 0xC000: "0xC000", 0xA700: "0xA700", 0xA900: "0xA900"}


@dataclass(frozen=True)
class Target:
    """What is attacked.

    Attributes
    ----------
    peer
        The port.
    kept
        Folder of what it keeps.
    until
        When the attack's time is over, by the monotonic clock.
    """

    peer: Peer
    kept: Path
    until: float

    @property
    def is_time(self) -> bool:
        """Whether the attack may go on."""
        return time.monotonic() < self.until


Attack = Callable[[Target], str]
"""Gives back what came of it, in a few words."""


def announced_length(target: Target) -> str:
    """Announce an A-ASSOCIATE-RQ of 200 MiB, and send it."""
    with _connection(target) as connection:
        sent = _pour(target, connection, header(1, 200 * MIB), [PIECE] * 200)
    return f"{sent / MIB:.0f} MiB taken"


def endless_data_set(target: Target) -> str:
    """Send 1 GiB of a data set that never ends."""
    with _association(target) as connection:
        command = data_pdu(fragment(COMMAND_END, store_command()))
        piece = data_pdu(fragment(DATA_SET, bytes(65_536)))
        sent = _pour(target, connection, command, [piece] * (1024 * 16))
    return f"{sent / MIB:.0f} MiB taken"


def deflate_bomb(target: Target) -> str:
    """Store a deflated data set of 1 MiB that inflates to 1 GiB."""
    return _store(target, _bomb(), syntax=DEFLATED)


def many_elements(target: Target) -> str:
    """Store 100,000 elements without a value, each with another tag."""
    return _store(target, _elements(100_000))


def million_elements(target: Target) -> str:
    """Store 1,000,000 elements without a value, each with another tag."""
    return _store(target, _elements(1_000_000))


def deep_sequences(target: Target) -> str:
    """Store 20,000 sequences, one in another."""
    opened = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    return _store(target, opened * 20_000)


def half_open(target: Target) -> str:
    """Open 500 connections that say nothing, from one address."""
    crowd = _crowd(target, 500)
    return _hold(target, crowd, lambda _: None)


def mute_tls(target: Target) -> str:
    """Connect to a port that speaks TLS, and say nothing."""
    return _hold(target, _crowd(target, 1), lambda _: None)


def one_byte_a_second(target: Target) -> str:
    """Send on 24 associations of one address one byte of a PDU each second."""
    return _hold(target, _associations(target, 24), lambda each: each.sendall(b"\x04"))


def small_pdus(target: Target) -> str:
    """Send on 24 associations of one address an empty PDU each second."""
    return _hold(target, _associations(target, 24), lambda each: each.sendall(data_pdu()))


def without_waiting(target: Target) -> str:
    """Send 600 requests to store 1 MiB each on one association, and wait for no answer."""
    requests = (
        pdu
        for number in range(600)
        for pdu in store_request(_elements(1, padding=MIB), f"1.2.3.{number}")
    )
    with _association(target) as connection:
        sent = _pour(target, connection, b"", requests)
        _await_end(target, connection)
    return f"{sent / MIB:.0f} MiB taken"


def path_in_uid(target: Target) -> str:
    """Store an image whose SOP Instance UID is ``../outside``."""
    image = _image()
    answered = _store(target, encoded(image), sop_instance_uid="../outside")
    outside = list(target.kept.parent.rglob("outside*"))
    return f"{answered}, {'written outside its folder' if outside else 'nothing written'}"


def foreign_preamble(target: Target) -> str:
    """Store a file that is a program too: ``MZ`` in its preamble, before its data set."""
    image = _image()
    answered = _store(
        target,
        b"MZ" + bytes(126) + b"DICM" + encoded(image),
        sop_instance_uid=str(image.SOPInstanceUID),
    )
    kept = [path.read_bytes() for path in target.kept.rglob("*") if path.is_file()]
    programs = [content for content in kept if b"MZ" in (content[:2], content[132:134])]
    return f"{answered}, {'kept' if programs else 'none kept'}"


ATTACKS: dict[str, Attack] = {
    "A-ASSOCIATE-RQ of 200 MiB announced": announced_length,
    "data set without end, 1 GiB": endless_data_set,
    "deflated data set, 1 MiB to 1 GiB": deflate_bomb,
    "100,000 elements": many_elements,
    "1,000,000 elements": million_elements,
    "20,000 nested sequences": deep_sequences,
    "600 C-STORE of 1 MiB without waiting": without_waiting,
    "500 half-open connections": half_open,
    "a mute TLS client": mute_tls,
    "24 associations, one byte a second": one_byte_a_second,
    "24 associations, an empty PDU a second": small_pdus,
    "`../outside` as SOP Instance UID": path_in_uid,
    "preamble of a program": foreign_preamble,
}
"""In the order of the report."""
OVER_TLS = frozenset(("a mute TLS client",))


def _bomb() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return b"".join([*(packer.compress(PIECE) for _ in range(1024)), packer.flush()])


def _elements(number: int, *, padding: int = 0) -> bytes:
    """Elements of odd groups, UN; the last one has a value."""
    tags = ((0x0011 + 2 * (k >> 15), 0x1000 + (k & 0x7FFF)) for k in range(number))
    empty = b"UN\0\0\0\0\0\0"
    body = b"".join(
        group.to_bytes(2, "little") + element.to_bytes(2, "little") + empty
        for group, element in tags
    )
    return body[:-4] + padding.to_bytes(4, "little") + bytes(padding)


def _image():  # type: ignore[no-untyped-def]
    return head_series(stack([0.0, 5.0], size=16, pixel_mm=14.0))[0]


@contextlib.contextmanager
def _connection(target: Target) -> Iterator[socket.socket]:
    with socket.create_connection(
        (target.peer.host, target.peer.port), 5, source_address=(ATTACKER, 0)
    ) as connection:
        yield connection


@contextlib.contextmanager
def _association(
    target: Target, *, syntax: str = EXPLICIT_LITTLE_ENDIAN
) -> Iterator[socket.socket]:
    with _connection(target) as connection:
        connection.sendall(association_request(target.peer, ae_title="BAD", syntax=syntax))
        answer(connection)
        yield connection


def _pour(
    target: Target,
    connection: socket.socket,
    first: bytes,
    pieces: Iterable[bytes],
) -> int:
    """Send until refused; how many bytes were taken."""
    sent = 0
    connection.settimeout(1)
    with contextlib.suppress(ConnectionError):
        connection.sendall(first)
        for piece in pieces:
            left = memoryview(piece)
            while left and target.is_time:
                with contextlib.suppress(TimeoutError):
                    size = connection.send(left)
                    sent, left = sent + size, left[size:]
            if not target.is_time:
                break
    return sent


def _store(
    target: Target,
    data_set: bytes,
    *,
    syntax: str = EXPLICIT_LITTLE_ENDIAN,
    sop_instance_uid: str = "1.2.3.4",
) -> str:
    """Send one C-STORE; what was answered."""
    with _association(target, syntax=syntax) as connection:
        _pour(target, connection, b"", store_request(data_set, sop_instance_uid))
        try:
            pdu_type, content = answer(connection, seconds=max(target.until - time.monotonic(), 1))
        except TimeoutError:
            return "no answer"
    if pdu_type != 4:
        return "cut off"
    found = content.find(b"\x00\x00\x00\x09\x02\x00\x00\x00")
    status = int.from_bytes(content[found + 8 : found + 10], "little")
    return STATUSES.get(status, f"0x{status:04X}")


def _crowd(target: Target, number: int) -> list[socket.socket]:
    crowd = []
    address = (target.peer.host, target.peer.port)
    for _ in range(number):
        if target.is_time:
            with contextlib.suppress(OSError):
                crowd.append(socket.create_connection(address, 2, source_address=(ATTACKER, 0)))
    return crowd


def _associations(target: Target, number: int) -> list[socket.socket]:
    """Open so many, or as many as there are after some seconds of trying."""
    associated: list[socket.socket] = []
    until = time.monotonic() + SECONDS_OF_TRYING
    while len(associated) < number and time.monotonic() < until:
        for connection in _crowd(target, 1):
            with contextlib.suppress(OSError):
                connection.sendall(association_request(target.peer, ae_title="BAD"))
                if answer(connection, seconds=5)[0] == ACCEPTED:
                    associated.append(connection)
                    continue
            connection.close()
    return associated


def _hold(target: Target, crowd: list[socket.socket], say: Callable[[socket.socket], None]) -> str:
    """Keep connections as long as they are let, saying something each second."""
    number, next_word = len(crowd), 0.0
    left = list(crowd)
    at_first = None
    while left and target.is_time:
        if time.monotonic() >= next_word:
            next_word = time.monotonic() + 1
            for each in left:
                with contextlib.suppress(OSError):
                    say(each)
        left = [each for each in left if not _is_over(each)]
        at_first = len(left) if at_first is None else at_first
        time.sleep(LOOK_SECONDS)
    for each in crowd:
        each.close()
    held = number if at_first is None else at_first
    return f"{held} of {number} held at first, {len(left)} at the end"


def _is_over(connection: socket.socket) -> bool:
    connection.settimeout(0.0005)
    try:
        return connection.recv(64) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def _await_end(target: Target, connection: socket.socket) -> None:
    """Read answers, until nothing has come for a second."""
    with contextlib.suppress(TimeoutError):
        while target.is_time and answer(connection, seconds=1)[0]:
            pass
