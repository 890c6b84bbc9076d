"""One attempt to tell one receiver of one report, and what follows from it.

The row was entered with the job's end. It is marked when the receiver has taken the message; a
crash in between sends it again under the same identifier.
"""

import logging
import random
from datetime import UTC, datetime, timedelta

from config.errors import MidlineError, PeerRefusedError, SettingsError
from config.log import log_scope
from config.settings import HL7ReceiverSettings, NotifiedSettings, Settings, WebhookSettings
from node.audit import events
from node.audit.deliveries import study_of_job
from node.audit.messages import Participant
from node.notifying.mllp import send_by_mllp
from node.notifying.notice import ATTRIBUTES, Notice, notice_of
from node.notifying.oru import oru_of
from node.notifying.webhook import send_by_webhook
from node.pauses import pause_after
from node.peers import Caller
from node.workplace import Workplace
from storage.records import NotificationRecord, NotificationState

logger = logging.getLogger(__name__)


class Notifier:
    """Tells receivers of reports; the step of a deliverer that concerns them.

    Parameters
    ----------
    place
        Where messages and reports are, and where the next attempt is enqueued.
    settings
        Who is told what, and how patiently.
    caller
        With whose certificate.
    """

    def __init__(self, place: Workplace, settings: Settings, caller: Caller) -> None:
        self._place, self._settings, self._caller = place, settings, caller
        self._receivers = {each.name: each for each in settings.notified}
        self._chance = random.Random()  # noqa: S311 - spreads retries, keeps no secret

    def notify(self, notification_id: int, attempt: int) -> None:
        """Make one attempt, and see to what follows from it; a repetition does nothing."""
        with self._place.database.read() as transaction:
            found = transaction.notifications.get(notification_id)
        if found is None or found.state is not NotificationState.PENDING:
            return
        if found.attempts >= attempt:
            return
        with log_scope(job=found.job_id):
            receiver = self._receivers.get(found.receiver)
            if receiver is None:
                self._give_up(found, f"{found.receiver} is not in the settings any more")
                return
            try:
                notice = notice_of(self._place, found, receiver.include)
                send(notice, receiver, self._caller)
            except MidlineError as error:
                self._missed(found, error)
            else:
                self._arrived(found, receiver, notice)

    def _arrived(
        self, found: NotificationRecord, receiver: NotifiedSettings, notice: Notice
    ) -> None:
        with self._place.database.begin() as transaction:
            transaction.notifications.mark_sent(found.id, now=datetime.now(UTC))
        logger.info("told %s of %s", receiver.name, found.outcome)
        if set(notice.told) & set(ATTRIBUTES):
            self._tell_trail(found, receiver)

    def _tell_trail(self, found: NotificationRecord, receiver: NotifiedSettings) -> None:
        """Have the audit trail know that something of a patient left the node."""
        study = study_of_job(self._place.database, found.job_id)
        if study is not None:
            participant = Participant(receiver.name, address=receiver.address)
            self._place.audit(events.sent(participant, study, {}))

    def _missed(self, found: NotificationRecord, error: MidlineError) -> None:
        """Have the next attempt follow, or give up."""
        now, attempts = datetime.now(UTC), found.attempts + 1
        give_up_at = found.opened_at + timedelta(hours=self._settings.delivery.give_up_hours)
        may_be_mended = error.retryable or isinstance(error, SettingsError)
        if isinstance(error, PeerRefusedError) or not may_be_mended or now >= give_up_at:
            self._give_up(found, str(error))
            return
        pause = pause_after(attempts, self._settings.delivery, chance=self._chance)
        with self._place.database.begin() as transaction:
            transaction.notifications.mark_attempt(
                found.id, error=str(error), now=now, next_attempt_at=now + pause
            )
            self._place.queues.notify(
                transaction.session,
                found.id,
                opened_at=found.opened_at,
                attempt=attempts + 1,
                delay_seconds=pause.total_seconds(),
            )
        logger.warning("%s was not told, the next attempt follows: %s", found.receiver, error)

    def _give_up(self, found: NotificationRecord, problem: str) -> None:
        with self._place.database.begin() as transaction:
            transaction.notifications.mark_dead(found.id, error=problem, now=datetime.now(UTC))
        logger.error("%s is not told of %s: %s", found.receiver, found.outcome, problem)


def send(notice: Notice, receiver: NotifiedSettings, caller: Caller) -> None:
    """Send one message in the way of its receiver.

    Raises
    ------
    PeerError
        If it did not arrive.
    SettingsError
        If a file that the settings name cannot be used.
    """
    now = datetime.now(UTC)
    match receiver:
        case WebhookSettings():
            send_by_webhook(notice, receiver, now=now)
        case HL7ReceiverSettings():
            message = oru_of(notice, receiver, now=now)
            send_by_mllp(message, receiver, message_id=notice.message_id, tls=caller.tls)
        case _:
            raise TypeError(f"nobody knows how to tell {type(receiver).__name__}")
