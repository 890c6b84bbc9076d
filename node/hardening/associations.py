"""The two threads of an association: neither leaves a connection behind when it ends."""

import logging
import threading
from typing import Any

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider

logger = logging.getLogger(__name__)


class HardProvider(DULServiceProvider):
    """Upper layer service provider that tells its association when it ends, however it does."""

    def __init__(self, assoc: Association) -> None:
        super().__init__(assoc)
        # what a peer leaves open must not hold up the end of the process
        self.daemon = True

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

    def _end(self) -> None:
        association = self.assoc
        association.dimse.msg_queue.put((None, None))
        leave = getattr(self.socket, "leave", None)
        if leave is not None:
            leave()
        if association.is_acceptor:
            # it may still wait for a request, and takes this for the end of its patience
            self.to_user_queue.put(None)  # type: ignore[arg-type]


class HardAssociation(Association):
    """Association that knows whether it serves a request, and ends with its thread."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._serving = 0
        self._serving_lock = threading.Lock()
        super().__init__(*args, **kwargs)

    @property
    def is_busy(self) -> bool:
        """Whether a message waits, or a request is being answered."""
        return self._serving > 0 or self.dimse.msg_queue.qsize() > 0

    def run_reactor(self) -> None:
        """Serve the association to its end."""
        try:
            super().run_reactor()
        except Exception as error:  # noqa: BLE001 - whatever foreign bytes make of pynetdicom
            logger.warning("an association ended by a fault: %s", type(error).__name__)
            self.is_established = False
            self.dul.kill_dul()
            evt.trigger(self, evt.EVT_ABORTED, {})
        finally:
            forget = getattr(self._server, "forget", None)
            if forget is not None:
                forget(self.remote["address"])

    def _serve_request(self, msg: Any, context_id: int) -> None:
        with self._serving_lock:
            self._serving += 1
        try:
            super()._serve_request(msg, context_id)
        finally:
            with self._serving_lock:
                self._serving -= 1
