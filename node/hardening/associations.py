"""The thread of an association: it waits for messages, and knows whether it serves one."""

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from pynetdicom import evt
from pynetdicom.association import Association

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.1
"""Longest wait between two looks at timers, and at what nobody tells of."""
PAUSE_SECONDS = 0.001
"""Between two looks of a requestor."""


def _nobody() -> None:
    """Tell nobody."""


class HardAssociation(Association):
    """Association that knows whether it serves a request, and ends with its thread.

    Attributes
    ----------
    on_answered
        Called after each request that was served: the next one may be read.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.on_answered: Callable[[], None] = _nobody
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
        with self.serving():
            super()._serve_request(msg, context_id)
            if threading.current_thread() is not self:
                # pynetdicom serves an N-EVENT-REPORT in a thread of its own, at whose end it notes
                # that this one goes on: who waits for its pause, to release, would wait for ever
                self._is_paused = True

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Count as busy while a request is answered."""
        with self._serving_lock:
            self._serving += 1
        try:
            yield
        finally:
            with self._serving_lock:
                self._serving -= 1
            self.on_answered()

    def _run_reactor(self) -> None:
        """Serve an established association to its end.

        An acceptor waits for messages. A requestor looks for them, since whoever sends waits for
        its pause.
        """
        while not self._kill:
            if not self.is_acceptor:
                time.sleep(PAUSE_SECONDS)
            if not self._may_take_messages():
                continue
            with contextlib.suppress(queue.Empty):
                context_id, message = self.dimse.msg_queue.get(
                    block=self.is_acceptor, timeout=LOOK_SECONDS
                )
                if message is not None and context_id is not None:
                    self._serve_request(message, context_id)
            if self._is_over():
                self.kill()

    def _may_take_messages(self) -> bool:
        """Wait while this thread is to pause; whether messages are for it afterwards.

        Who sends a request asks for the pause, and waits until it is noted; then the response is
        not to be taken here. pynetdicom does not look again after the wait: asked in that moment,
        it is noted as paused, goes on, and now and then took a response, for which its sender
        waited in vain.
        """
        self._is_paused = True
        self._reactor_checkpoint.wait()
        self._is_paused = False
        return self._reactor_checkpoint.is_set()

    def _is_over(self) -> bool:
        """Whether the association ended, by whomever; it is noted how."""
        if self.is_established and self.acse.is_release_requested():
            self.acse.send_release(is_response=True)
            self.is_released, self.is_established = True, False
            evt.trigger(self, evt.EVT_RELEASED, {})
            return True
        if self.acse.is_aborted():
            self.dul.receive_pdu(wait=False)
            self.is_aborted, self.is_established = True, False
            evt.trigger(self, evt.EVT_ABORTED, {})
            return True
        if self.dul.is_alive() and self.dul.idle_timer_expired():
            self.abort()
            return True
        return not self.dul.is_alive()
