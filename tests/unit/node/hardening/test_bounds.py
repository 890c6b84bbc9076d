"""Bounds on bytes: what is announced, how many items, how large a message, how slowly."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom import build_context
from pynetdicom.pdu import A_ASSOCIATE_RQ, P_DATA_TF
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    P_DATA,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)

from node.hardening.bounds import (
    LARGEST_COMMAND_SET_BYTES,
    MOST_CONTEXTS,
    MOST_FRAGMENTS,
    MOST_SYNTAXES,
    MOST_USER_ITEMS,
    SLOWEST_BYTES_PER_SECOND,
    Arrival,
    BoundError,
    Limits,
    PDUType,
    Room,
    check_length,
    check_negotiation,
    fragments,
)

HEADER = bytes(68)
COMMAND, COMMAND_END, DATA, DATA_END = 1, 3, 0, 2


def item(kind: int, content: bytes = b"") -> bytes:
    return struct.pack(">BBH", kind, 0, len(content)) + content


def context(num_syntaxes: int = 1) -> bytes:
    return item(0x20, bytes(4) + item(0x30, b"1.2") + item(0x40, b"1.2") * num_syntaxes)


def pdv(control: int, size: int) -> bytes:
    return struct.pack(">IBB", size + 2, 1, control) + bytes(size)


@pytest.mark.parametrize("kind", PDUType)
def test_a_pdu_is_as_long_as_its_kind_may_be(kind: PDUType) -> None:
    is_variable = kind in (PDUType.ASSOCIATE_RQ, PDUType.ASSOCIATE_AC, PDUType.P_DATA_TF)
    longest = 1000 if is_variable else 4
    check_length(kind, longest, longest=1000)
    fault = f"{longest + 1} bytes was announced, the limit is {longest}"
    with pytest.raises(BoundError, match=fault):
        check_length(kind, longest + 1, longest=1000)


def test_what_pynetdicom_proposes_at_most_is_within_bounds() -> None:
    request = A_ASSOCIATE()
    request.application_context_name = "1.2.840.10008.3.1.1.1"
    contexts = [build_context(f"1.2.3.{k}", [f"1.2.{n}" for n in range(60)]) for k in range(128)]
    for number, each in enumerate(contexts):
        each.context_id = 2 * number + 1
    request.presentation_context_definition_list = contexts
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = 16382
    implementation.implementation_class_uid = "1.2.3"
    request.user_information = [length, implementation]
    request.calling_ae_title = request.called_ae_title = "A"
    check_negotiation(A_ASSOCIATE_RQ(request).encode()[6:])


@pytest.mark.parametrize(
    ("items", "fault"),
    [
        (context() * (MOST_CONTEXTS + 1), "presentation contexts"),
        (context(MOST_SYNTAXES), "syntaxes of a context"),
        (item(0x50, item(0x54) * (MOST_USER_ITEMS + 1)), "items of user information"),
        (item(0x50, item(0x54) * 600) * 2, "items of user information"),
        (item(0x10, b"1.2")[:-1], "longer than the PDU"),
        (b"\x10\x00\x00", "cut short"),
    ],
)
def test_a_request_with_more_than_anybody_needs_is_refused(items: bytes, fault: str) -> None:
    with pytest.raises(BoundError, match=fault):
        check_negotiation(HEADER + items)
    check_negotiation(HEADER + context() * MOST_CONTEXTS)


@given(st.binary(max_size=400))
def test_foreign_bytes_are_read_or_refused(content: bytes) -> None:
    for read in (check_negotiation, lambda body: list(fragments(body))):
        with contextlib.suppress(BoundError):
            read(content)


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=50)), max_size=20))
def test_fragments_are_those_that_pynetdicom_reads(values: list[tuple[bool, bytes]]) -> None:
    primitive = P_DATA()
    primitive.presentation_data_value_list = [
        [1, bytes((int(is_command),)) + content] for is_command, content in values
    ]
    pdu = P_DATA_TF()
    pdu.from_primitive(primitive)
    found = [(each.is_command, each.num_bytes) for each in fragments(pdu.encode()[6:])]
    assert found == [(is_command, len(content)) for is_command, content in values]


def test_too_many_fragments_and_broken_ones_are_refused() -> None:
    assert len(list(fragments(pdv(DATA, 0) * MOST_FRAGMENTS))) == MOST_FRAGMENTS
    for body in (pdv(DATA, 0) * (MOST_FRAGMENTS + 1), pdv(DATA, 5)[:-1], b"\0\0\0\1\1\0", b"\0"):
        with pytest.raises(BoundError):
            list(fragments(body))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_data_set_is_bounded_over_its_fragments_and_each_anew() -> None:
    arrival = Arrival(Limits(data_set_bytes=100))
    for _ in range(3):
        arrival.take(pdv(COMMAND_END, 60) + pdv(DATA, 60), begins=True)
        arrival.take(pdv(DATA_END, 40), begins=False)
    arrival.take(pdv(DATA, 60), begins=True)
    with pytest.raises(BoundError, match="longer than 100 bytes"):
        arrival.take(pdv(DATA, 41), begins=False)


def test_a_command_set_is_bounded() -> None:
    arrival = Arrival(Limits())
    arrival.take(pdv(COMMAND, LARGEST_COMMAND_SET_BYTES), begins=True)
    with pytest.raises(BoundError, match="command set"):
        arrival.take(pdv(COMMAND, 1), begins=False)


def test_connections_share_their_room_and_give_it_back() -> None:
    room = Room(150)
    one, two = (Arrival(Limits(data_set_bytes=100), room) for _ in range(2))
    one.take(pdv(DATA, 100), begins=True)
    with pytest.raises(BoundError, match="all connections together"):
        two.take(pdv(DATA, 60), begins=True)
    one.take(pdv(COMMAND, 10), begins=True)
    two.take(pdv(DATA, 60), begins=False)
    two.end()
    two.end()
    assert room.take(150)
    assert not room.take(1)


def test_a_message_may_take_its_time_and_then_has_to_be_fast() -> None:
    clock = Clock()
    arrival = Arrival(Limits(message_seconds=60), clock=clock)
    arrival.take(pdv(DATA, 1), begins=True)
    clock.now = 60
    arrival.take(pdv(DATA, SLOWEST_BYTES_PER_SECOND), begins=False)
    clock.now = 62
    with pytest.raises(BoundError, match="too slowly"):
        arrival.take(b"", begins=False)


def test_a_message_that_was_complete_does_not_count_for_the_next() -> None:
    clock = Clock()
    arrival = Arrival(Limits(message_seconds=60), clock=clock)
    for _ in range(5):
        clock.now += 50
        arrival.take(pdv(COMMAND_END, 10), begins=True)
