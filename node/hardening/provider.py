"""The thread that serves a connection: it waits instead of looking, and stores without detours.

pynetdicom looks at a connection every millisecond, and hands each PDU through a state machine, a
message, a queue and a second thread to whoever answers, copying its bytes on the way. Here the
thread sleeps until there is something to read or to send, and a C-STORE request that a server takes
directly goes from the socket to the store and back in this one thread. Everything else, from
negotiation to release, is pynetdicom's as it was.
"""

import logging
import socket
from typing import Any, Protocol

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu_primitives import A_ABORT, A_P_ABORT, A_RELEASE, P_DATA

from node.hardening.associations import LOOK_SECONDS, HardAssociation
from node.hardening.bounds import PDUType
from node.hardening.doorbell import Doorbell, RingingQueue
from node.hardening.messages import (
    AFFECTED_SOP_CLASS_UID,
    AFFECTED_SOP_INSTANCE_UID,
    C_STORE_RQ,
    COMMAND_FIELD,
    LAST_OF_COMMAND,
    LAST_OF_DATA_SET,
    Assembly,
    Message,
    command_elements,
    number_of,
    store_response,
    text_of,
)

logger = logging.getLogger(__name__)

HEADER_BYTES = 6
ESTABLISHED, CLOSING = "Sta6", "Sta13"
"""States of the upper layer (PS3.8 Table 9-4)."""
CONNECTION_CLOSED, INVALID_PDU = "Evt17", "Evt19"
"""Events of the upper layer (PS3.8 Table 9-5)."""
ENDS = (A_RELEASE, A_ABORT, A_P_ABORT)


class DirectStore(Protocol):
    """Whoever answers C-STORE requests in the thread of the connection."""

    def __call__(
        self,
        association: Association,
        *,
        sop_class_uid: str,
        sop_instance_uid: str,
        transfer_syntax_uid: str,
        data_set: bytes,
    ) -> tuple[int, str]:
        """Answer a request with a status and a comment; raises nothing."""
        ...


class HardProvider(DULServiceProvider):
    """Upper layer service provider that waits, stores directly, and tells when it ends."""

    def __init__(self, assoc: Association) -> None:
        super().__init__(assoc)
        # what a peer leaves open must not hold up the end of the process
        self.daemon = True
        self._bell = Doorbell()
        if isinstance(assoc, HardAssociation):
            assoc.on_answered = self._bell.ring
        self._assembly = Assembly()
        self._run_loop_delay = 0.0
        self.to_provider_queue = RingingQueue(lambda _: self._bell.ring())
        self.to_user_queue = RingingQueue(self._tell_association)

    @property
    def begins_message(self) -> bool:
        """Whether the next fragment is the first of a message."""
        return self._assembly.is_empty and self.assoc.dimse.message is None

    def kill_dul(self) -> None:
        """End the thread."""
        super().kill_dul()
        self._bell.ring()

    def run_reactor(self) -> None:
        """Serve the connection to its end."""
        try:
            super().run_reactor()
        except Exception as error:  # noqa: BLE001 - whatever foreign bytes make of pynetdicom
            # the type alone: its text may quote a data set
            logger.warning("an association ended by a fault: %s", type(error).__name__)
            address = self.assoc.remote["address"], self.assoc.remote["port"]
            evt.trigger(self.assoc, evt.EVT_CONN_CLOSE, {"address": address})
        finally:
            self._end()

    def _tell_association(self, primitive: object) -> None:
        """Let the thread of an acceptor, which waits for messages, see that its peer is done."""
        if self.assoc.is_acceptor and isinstance(primitive, ENDS):
            self.assoc.dimse.msg_queue.put((None, None))

    def _is_transport_event(self) -> bool:
        """Wait for something to do, then look for it as pynetdicom does."""
        if self.event_queue.empty() and self.state_machine.current_state != CLOSING:
            self._bell.wait(self._readable(), seconds=LOOK_SECONDS)
        return bool(super()._is_transport_event())

    def _readable(self) -> socket.socket | None:
        """Give the connection to read; the next request is left there while one is answered."""
        transport, association = self.socket, self.assoc
        is_busy = isinstance(association, HardAssociation) and association.is_busy
        if is_busy or transport is None or not transport._is_connected:
            return None
        return transport.socket

    def _read_pdu_data(self) -> None:
        """Read one PDU; fragments of messages are put together here if the server stores so."""
        store: DirectStore | None = getattr(self.assoc._server, "direct_store", None)
        transport = self.socket
        if store is None or transport is None or self.state_machine.current_state != ESTABLISHED:
            super()._read_pdu_data()
            return
        try:
            header = transport.recv(HEADER_BYTES)
            is_known = len(header) == HEADER_BYTES and header[0] in PDUType.__members__.values()
            length = int.from_bytes(header[2:], "big") if is_known else 0
            body = transport.recv(length) if length else bytearray()
        except OSError:
            self.event_queue.put(CONNECTION_CLOSED)
            return
        if len(header) < HEADER_BYTES or len(body) < length:
            self.event_queue.put(CONNECTION_CLOSED)
            return
        try:
            self._take(header, body, store)
        except Exception as error:  # noqa: BLE001 - whatever foreign bytes make of it
            logger.warning("a PDU could not be decoded: %s", type(error).__name__)
            self.event_queue.put(INVALID_PDU)

    def _take(self, header: bytearray, body: bytearray, store: DirectStore) -> None:
        """Serve the messages that a P-DATA-TF completes; let the state machine do the rest."""
        if header[0] == PDUType.P_DATA_TF:
            for message in self._assembly.take(body):
                self._serve(message, store)
            return
        pdu, event = self._decode_pdu(header + body)
        self.event_queue.put(event)
        self._recv_pdu.put(pdu)

    def _serve(self, message: Message, store: DirectStore) -> None:
        """Answer a C-STORE; hand every other message to pynetdicom."""
        association = self.assoc
        assert isinstance(association, HardAssociation)  # noqa: S101 - `install` puts both in place
        elements = command_elements(message.command_set)
        context = association._accepted_cx.get(message.context_id)
        is_store = number_of(elements, COMMAND_FIELD) == C_STORE_RQ
        if not (is_store and context is not None and message.data_set):
            association.dimse.receive_primitive(_as_primitive(message))
            return
        with association.serving():
            status, comment = store(
                association,
                sop_class_uid=text_of(elements, AFFECTED_SOP_CLASS_UID),
                sop_instance_uid=text_of(elements, AFFECTED_SOP_INSTANCE_UID),
                transfer_syntax_uid=str(context.transfer_syntax[0]),
                data_set=message.data_set,
            )
            response = store_response(
                message.context_id,
                elements,
                status=status,
                comment=comment,
                most_bytes=association.requestor.maximum_length or 0,
            )
            if self.socket is not None:
                self.socket.send(response)

    def _end(self) -> None:
        association = self.assoc
        association.dimse.msg_queue.put((None, None))
        leave = getattr(self.socket, "leave", None)
        if leave is not None:
            leave()
        if association.is_acceptor:
            # it may still wait for a request, and takes this for the end of its patience
            wake: Any = self.to_user_queue
            wake.put(None)
        self._bell.close()


def _as_primitive(message: Message) -> P_DATA:
    """Make of a message what pynetdicom takes: its command set and its data set in one piece."""
    # it insists on lists, whatever it declares
    values: list[Any] = [[message.context_id, LAST_OF_COMMAND + message.command_set]]
    if message.data_set:
        values.append([message.context_id, LAST_OF_DATA_SET + message.data_set])
    primitive = P_DATA()
    primitive.presentation_data_value_list = values
    return primitive
