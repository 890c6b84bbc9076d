"""Writing the audit trail: who writes is named here, and nothing that happens here stops anybody.

A message that cannot be written is logged and counted. Alerts of failures that repeat are written
once a minute at most, with how many there were: a thousand knocks at the door must not fill the
disk.
"""

import logging
import os
import pwd
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from config.errors import MidlineError
from config.settings import Settings
from node.audit import events
from node.audit.codes import Event, Outcome
from node.audit.messages import NODE, Message, Participant, as_json
from storage.database import Database

logger = logging.getLogger(__name__)

Write = Callable[[Message], None]
"""Writes a message into the trail."""

QUIET_SECONDS = 60.0
"""So long the same alert is not written again."""
MOST_REMEMBERED = 1000
"""Different alerts at a time; more of them within a minute are not told apart."""


def untold(_: Message) -> None:
    """Write nothing: the trail of whoever has none."""


class Trail:
    """The audit trail as one process writes it.

    Parameters
    ----------
    database
        Where it is kept.
    source_id
        Name of the installation.
    ae_title
        Of the node, under which it is known to its peers.
    enabled
        Whether anything is written at all.
    clock
        Seconds, for what repeats.
    """

    def __init__(
        self,
        database: Database,
        *,
        source_id: str,
        ae_title: str,
        enabled: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._source_id, self._enabled = database, source_id, enabled
        host = socket.gethostname()
        self._own = Participant(f"{os.getpid()}@{host}", ae_title=ae_title, address=host)
        self._clock, self._lock = clock, threading.Lock()
        self._alerts: dict[Message | None, tuple[float, int]] = {}
        self.num_lost = 0
        """How many messages could not be written."""

    def write(self, message: Message) -> None:
        """Write a message; whatever goes wrong is logged and counted, and stops nobody."""
        if not self._enabled:
            return
        if message.event is Event.SECURITY_ALERT and message.outcome is not Outcome.SUCCESS:
            repeated = self._repetition_of(message)
            if repeated is None:
                return
            message = repeated
        try:
            self._append(message)
        except Exception as error:  # noqa: BLE001 - an image must not be lost for its message
            with self._lock:
                self.num_lost += 1
            reason = str(error) if isinstance(error, MidlineError) else type(error).__name__
            logger.error(  # noqa: TRY400 - foreign errors are named by type alone
                "a message of the audit trail is lost (%s): %s; %d in all",
                message.event.value.meaning,
                reason,
                self.num_lost,
            )

    def log_head(self) -> None:
        """Write into the log how long the trail is, and its last digest."""
        if not self._enabled:
            return
        try:
            with self._database.read() as transaction:
                head = transaction.audit.head()
        except MidlineError as error:
            logger.warning("the head of the audit trail cannot be read: %s", error)
            return
        logger.info("the audit trail has %d messages, head %s", head.num_messages, head.sha256)

    def _append(self, message: Message) -> None:
        now = datetime.now(UTC)
        people = tuple(self._named(each) for each in message.participants)
        named = replace(message, participants=people, moment=now, source_id=self._source_id)
        with self._database.begin() as transaction:
            transaction.audit.append(
                as_json(named),
                event=message.event.value.value,
                outcome=int(message.outcome),
                now=now,
            )

    def _named(self, participant: Participant) -> Participant:
        if participant.user_id != NODE.user_id:
            return participant
        return replace(self._own, is_requestor=participant.is_requestor, role=participant.role)

    def _repetition_of(self, alert: Message) -> Message | None:
        """Give the alert with how often it was left out before; None if it is too soon again."""
        now = self._clock()
        with self._lock:
            key = alert if alert in self._alerts or len(self._alerts) < MOST_REMEMBERED else None
            last, num_left_out = self._alerts.get(key, (now - QUIET_SECONDS, 0))
            if now - last < QUIET_SECONDS:
                self._alerts[key] = (last, num_left_out + 1)
                return None
            self._alerts = {
                known: held
                for known, held in self._alerts.items()
                if now - held[0] < QUIET_SECONDS or held[1]
            }
            self._alerts[key] = (now, 0)
        if not num_left_out:
            return alert
        return replace(alert, description=f"{alert.description}; {num_left_out} more before")


def trail_of(database: Database, settings: Settings) -> Trail:
    """Open the trail as the settings say."""
    return Trail(
        database,
        source_id=settings.audit.source_id,
        ae_title=settings.node.ae_title,
        enabled=settings.audit.enabled,
    )


@contextmanager
def running(trail: Trail) -> Iterator[None]:
    """Tell that a process of the node begins, and that it ends in good order.

    Each time the head of the trail goes into the log, and so to where logs are kept: whoever cuts
    off the end of the trail has to reach that place too.
    """
    trail.write(events.started())
    trail.log_head()
    try:
        yield
    finally:
        trail.write(events.stopped())
        trail.log_head()


def person() -> Participant:
    """Name whoever gives a command, as the operating system knows them."""
    number = os.geteuid()
    try:
        name = pwd.getpwuid(number).pw_name
    except KeyError:
        name = str(number)
    return Participant(
        name, alternative_id=os.environ.get("SUDO_USER", ""), address=socket.gethostname()
    )
