"""DIMSE messages as bytes, against those that pynetdicom writes and reads."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom import dimse_messages
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu import P_DATA_TF

from node.hardening.messages import (
    AFFECTED_SOP_CLASS_UID,
    AFFECTED_SOP_INSTANCE_UID,
    C_STORE_RQ,
    COMMAND_FIELD,
    Assembly,
    Message,
    command_elements,
    number_of,
    store_response,
    text_of,
)

CT_IMAGE, UID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4.5"
HEADER_BYTES = 6


def request_pdus(data_set: bytes, *, most_bytes: int = 16384) -> list[bytes]:
    """A C-STORE request as pynetdicom sends it: whole P-DATA-TFs."""
    primitive = C_STORE()
    primitive.MessageID = 7
    primitive.AffectedSOPClassUID = CT_IMAGE
    primitive.AffectedSOPInstanceUID = UID
    primitive.Priority = 2
    primitive.DataSet = BytesIO(data_set)
    message = dimse_messages.C_STORE_RQ()
    message.primitive_to_message(primitive)
    pdus = []
    for value in message.encode_msg(3, most_bytes):
        pdu = P_DATA_TF()
        pdu.from_primitive(value)
        pdus.append(pdu.encode())
    return pdus


def together(pdus: list[bytes]) -> list[Message]:
    assembly = Assembly()
    return [message for pdu in pdus for message in assembly.take(pdu[HEADER_BYTES:])]


@given(data_set=st.binary(min_size=1, max_size=4000), most_bytes=st.integers(100, 5000))
def test_a_request_is_put_together_whatever_the_size_of_its_pdus(
    data_set: bytes, most_bytes: int
) -> None:
    (message,) = together(request_pdus(data_set, most_bytes=most_bytes))
    elements = command_elements(message.command_set)
    assert message.data_set == data_set
    assert message.context_id == 3
    assert number_of(elements, COMMAND_FIELD) == C_STORE_RQ
    assert text_of(elements, AFFECTED_SOP_CLASS_UID) == CT_IMAGE
    assert text_of(elements, AFFECTED_SOP_INSTANCE_UID) == UID


def test_messages_follow_each_other() -> None:
    pdus = [*request_pdus(b"one"), *request_pdus(b"two")]
    assert [message.data_set for message in together(pdus)] == [b"one", b"two"]


def test_fragments_of_both_parts_may_share_a_pdu() -> None:
    first, second = (pdu[HEADER_BYTES:] for pdu in request_pdus(b"data"))
    (message,) = Assembly().take(first + second)
    assert message.data_set == b"data"


def test_an_assembly_knows_when_a_message_has_begun() -> None:
    assembly, (command, data) = Assembly(), request_pdus(b"data")
    assert assembly.is_empty
    assembly.take(command[HEADER_BYTES:])
    assert not assembly.is_empty
    assembly.take(data[HEADER_BYTES:])
    assert assembly.is_empty


def test_a_data_set_without_a_command_is_refused() -> None:
    _, data = request_pdus(b"data")
    with pytest.raises(ValueError, match="not of the part"):
        Assembly().take(data[HEADER_BYTES:])


def test_a_second_command_before_the_data_set_is_refused() -> None:
    command, _ = request_pdus(b"data")
    with pytest.raises(ValueError, match="not of the part"):
        Assembly().take(command[HEADER_BYTES:] * 2)


def test_a_command_set_that_does_not_say_what_follows_is_refused() -> None:
    fragment = b"\0\0\0\x0c\x01\x03" + b"\0\0\0\1\2\0\0\0\1\0"
    with pytest.raises(ValueError, match="does not say what it is"):
        Assembly().take(fragment)


@pytest.mark.parametrize(
    "command_set",
    [b"\0\0\0\1\4", b"\0\0\0\1\xff\xff\0\0\1\0", b"\x08\0\0\1\2\0\0\0\1\0"],
    ids=["cut header", "cut value", "another group"],
)
def test_a_malformed_command_set_is_refused(command_set: bytes) -> None:
    with pytest.raises(ValueError, match="command set"):
        command_elements(command_set)


@given(command_set=st.binary(max_size=200))
def test_any_bytes_are_a_command_set_or_refused(command_set: bytes) -> None:
    try:
        elements = command_elements(command_set)
    except ValueError:
        return
    assert sum(8 + len(value) for value in elements.values()) <= len(command_set)


@given(
    status=st.sampled_from([0x0000, 0xA700, 0xC000]),
    comment=st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=80),
    most_bytes=st.one_of(st.just(0), st.integers(20, 400)),
)
def test_pynetdicom_reads_the_answer(status: int, comment: str, most_bytes: int) -> None:
    (request,) = together(request_pdus(b"data"))
    encoded = store_response(
        3,
        command_elements(request.command_set),
        status=status,
        comment=comment,
        most_bytes=most_bytes,
    )
    response = DIMSEMessage()
    is_complete = False
    while encoded:
        length = HEADER_BYTES + int.from_bytes(encoded[2:HEADER_BYTES], "big")
        assert not most_bytes or length - HEADER_BYTES <= most_bytes
        pdu = P_DATA_TF()
        pdu.decode(encoded[:length])
        is_complete = response.decode_msg(pdu.to_primitive())
        encoded = encoded[length:]
    assert is_complete
    assert isinstance(response, dimse_messages.C_STORE_RSP)
    primitive = response.message_to_primitive()
    assert isinstance(primitive, C_STORE)
    assert primitive.MessageIDBeingRespondedTo == 7
    assert primitive.AffectedSOPInstanceUID == UID
    assert primitive.Status == status
    assert (primitive.ErrorComment or "").strip() == comment[:64]
