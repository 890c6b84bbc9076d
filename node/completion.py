"""When a study is complete: then, in one transaction, it becomes a job in the queue.

Images that prove by themselves that none is to come (`node.evidence`) complete a study at once,
quiet does it later, and the deadline in any case. Every listener sweeps; a conditional update lets
exactly one of them win. Late instances reopen a study, and its next completion is the next
generation.
"""

import logging
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol

from pynetdicom.association import Association

from config.errors import MidlineError
from config.log import log_scope
from config.settings import CompletionSettings, Settings
from node.associations import OpenAssociations, caller_of
from node.audit.receptions import tell_of_reception
from node.audit.trail import Write, untold
from node.engine import Queues
from node.evidence import REMEMBERED_STUDIES, Evidence, judge, patience_seconds
from storage.database import Database, Transaction
from storage.records import Priority, StudyRecord, StudyState

logger = logging.getLogger(__name__)

Priorities = Mapping[str, Priority]
"""Of senders, by AE title."""
NO_PRIORITIES: Priorities = {}
LONGEST_WAIT_SECONDS = 0.5
"""Whoever stops the sweep waits no longer for it."""


def priorities_of(settings: Settings) -> Priorities:
    """Read how urgent the studies of senders are; those of all others are of routine."""
    return {sender.ae_title: Priority(sender.priority) for sender in settings.senders}


def _priority(study: StudyRecord, priorities: Priorities) -> Priority:
    return priorities.get(study.calling_ae_title, Priority.ROUTINE)


class Counts(Protocol):
    """Somebody who asks senders how many images a study has; never waits for the answer."""

    def has_answered(self, study: StudyRecord, *, now: datetime) -> bool:
        """Whether nothing is to be waited for: the count since the last image is in the index."""
        ...

    def forget(self, study_id: int) -> None:
        """Ask no more about a study."""
        ...


def sweep(
    database: Database,
    queues: Queues,
    settings: CompletionSettings,
    *,
    now: datetime,
    priorities: Priorities = NO_PRIORITIES,
) -> int:
    """Complete every study that was quiet or is at its deadline, and enqueue its analysis.

    Parameters
    ----------
    database, queues, settings, now
        Where studies and jobs are, how long to wait, and the time.
    priorities
        Of senders, as `priorities_of` reads them.

    Returns
    -------
    int
        How many studies this call completed.
    """
    with database.begin() as transaction:
        due = transaction.arrivals.due(
            now=now,
            quiet_after_release=timedelta(seconds=settings.quiet_after_release_seconds),
            quiet_without_release=timedelta(seconds=settings.quiet_without_release_seconds),
            deadline=timedelta(seconds=settings.deadline_seconds),
        )
    completed = 0
    for study_id in due:
        with database.begin() as transaction, log_scope(study=study_id):
            study = transaction.studies.get(study_id)
            if study is not None:
                evidence = _evidence(study, settings, now=now)
                completed += complete(
                    transaction,
                    queues,
                    study,
                    evidence=evidence,
                    now=now,
                    priority=_priority(study, priorities),
                )
    return completed


def complete(
    transaction: Transaction,
    queues: Queues,
    study: StudyRecord,
    *,
    evidence: str,
    now: datetime,
    priority: Priority = Priority.ROUTINE,
) -> bool:
    """Close a study's generation and enqueue its analysis: both, or neither.

    Returns
    -------
    bool
        False if an image landed since `study` was read, or another listener was faster.
    """
    closed = transaction.studies.complete(
        study.id, last_received_at=study.last_received_at, now=now, evidence=evidence
    )
    if closed is None:
        return False
    job = transaction.jobs.create(closed.id, closed.generation, now=now, priority=priority)
    queues.analyse(transaction.session, job.id, priority=priority)
    logger.info("complete with %d instances: %s", len(closed.instances), evidence)
    return True


def _evidence(study: StudyRecord, settings: CompletionSettings, *, now: datetime) -> str:
    """Say why a study that is due is taken for complete."""
    quiet = timedelta(seconds=settings.quiet_after_release_seconds)
    if study.released_at is not None and study.released_at + quiet <= now:
        return "association ended, and quiet since"
    if study.last_received_at + timedelta(seconds=settings.quiet_without_release_seconds) <= now:
        return "quiet"
    return "deadline"


def note_begin(
    association: Association, database: Database, associations: OpenAssociations
) -> None:
    """Note that an association was let in, for all listeners to see."""
    association_id = associations.begin(association)
    try:
        with database.begin(forced=False) as transaction:
            _enter(transaction, associations, association_id, caller_of(association).ae_title)
    except MidlineError as error:
        # entered with its first image, which cannot be kept either without the database
        logger.warning("the begin of an association was not recorded: %s", error)


def note_image(
    association: Association,
    database: Database,
    associations: OpenAssociations,
    study_id: int,
    sop_class_uid: str,
) -> None:
    """Note that an association sent an image of a study; the first one for all listeners to see."""
    association_id = associations.note(association, study_id, sop_class_uid)
    if not association_id:
        return
    try:
        with database.begin(forced=False) as transaction:
            _enter(transaction, associations, association_id, caller_of(association).ae_title)
            transaction.associations.sends(association_id, study_id)
    except MidlineError as error:
        # its sender still calls: no listener takes the study for complete meanwhile
        logger.warning("who sends a study was not recorded: %s", error)


def _enter(
    transaction: Transaction, associations: OpenAssociations, association_id: str, ae_title: str
) -> None:
    transaction.associations.begin(
        association_id,
        listener=associations.listener,
        calling_ae_title=ae_title,
        now=datetime.now(UTC),
    )


def note_end(
    association: Association,
    database: Database,
    associations: OpenAssociations,
    *,
    is_released: bool,
    audit: Write = untold,
) -> None:
    """Note that an association ended, and have the studies looked at that it sent."""
    ended = associations.end(association)
    if not ended.id:
        return
    try:
        with database.begin() as transaction:
            idle = transaction.associations.end(ended.id, ended.studies)
            if not is_released:
                transaction.arrivals.interrupt(ended.studies)
            transaction.arrivals.release(idle, now=datetime.now(UTC))
    except MidlineError as error:
        # the longer quiet time, for studies without this evidence, completes them too
        logger.warning("the end of an association was not recorded: %s", error)
    finally:
        associations.recorded(ended.id)
    # also without a study: what the same sender sent before may have waited for it
    associations.announce(ended.studies)
    tell_of_reception(audit, database, ended.caller, ended.instances)


class Completer:
    """Completes studies: at once where their images prove it, else when they were quiet.

    Evidence is weighed by the listeners that a study was sent to; who still calls, and whom, they
    know from the index.

    Parameters
    ----------
    database, queues, settings
        Where studies and jobs are, and how long to wait.
    associations
        Of this listener.
    counts
        Who asks senders; without it, none is asked.
    priorities
        Of senders, as `priorities_of` reads them.
    audit
        Is told of what came over associations that nobody ended.
    """

    def __init__(
        self,
        database: Database,
        queues: Queues,
        settings: CompletionSettings,
        associations: OpenAssociations,
        counts: Counts | None = None,
        *,
        priorities: Priorities = NO_PRIORITIES,
        audit: Write = untold,
    ) -> None:
        self._database, self._queues, self._settings = database, queues, settings
        self._priorities = priorities
        self._associations, self._counts, self._audit = associations, counts, audit
        self._watched: set[int] = set()
        self._judged: dict[int, tuple[object, Evidence]] = {}

    def renew(self, settings: CompletionSettings, priorities: Priorities = NO_PRIORITIES) -> None:
        """Go by other settings from now on."""
        self._settings, self._priorities = settings, priorities

    def run_until(self, stop: threading.Event) -> None:
        """Look a few times a second, and whenever an association ends, until stopped.

        A database that is busy is asked again.
        """
        next_sweep = time.monotonic()
        while not stop.is_set():
            wait_seconds = min(max(next_sweep - time.monotonic(), 0), LONGEST_WAIT_SECONDS)
            self._watched |= self._associations.announced(wait_seconds=wait_seconds)
            try:
                if time.monotonic() >= next_sweep:
                    next_sweep = time.monotonic() + self._settings.sweep_seconds
                    self._sweep()
                self.look(now=datetime.now(UTC))
            except MidlineError as error:
                logger.warning("the completion sweep failed, and will be repeated: %s", error)

    def _sweep(self) -> None:
        for association in self._associations.lost():
            note_end(
                association,
                self._database,
                self._associations,
                is_released=False,
                audit=self._audit,
            )
        self._end_lost()
        sweep(
            self._database,
            self._queues,
            self._settings,
            now=datetime.now(UTC),
            priorities=self._priorities,
        )

    def _end_lost(self) -> None:
        """Take the associations of listeners that are gone for interrupted."""
        with self._database.begin() as transaction:
            interrupted = transaction.associations.end_lost(
                listener=self._associations.listener, still_open=self._associations.ids
            )
            transaction.arrivals.interrupt(interrupted)
        if interrupted:
            logger.warning("associations of a listener that is gone: %d studies", len(interrupted))

    def look(self, *, now: datetime) -> int:
        """Complete the studies whose images prove that none is to come.

        Returns
        -------
        int
            How many studies this call completed.
        """
        self._watched |= self._associations.announced(wait_seconds=0)
        if not self._settings.by_evidence:
            self._watched.clear()
        return sum(self._look_at(study_id, now=now) for study_id in sorted(self._watched))

    def _look_at(self, study_id: int, *, now: datetime) -> bool:
        with log_scope(study=study_id):
            if not self._may_be_judged(study_id, now=now):
                return False
            with self._database.read() as transaction:
                # read again: a count that was asked for may have come in the meantime
                study = transaction.studies.get(study_id)
                if study is None or not self._is_idle(transaction, study, now=now):
                    return False
                evidence = self._judge(transaction, study)
            if not evidence.is_proof:
                return False
            with self._database.begin() as transaction:
                return complete(
                    transaction,
                    self._queues,
                    study,
                    evidence=evidence.words,
                    now=now,
                    priority=_priority(study, self._priorities),
                )

    def _may_be_judged(self, study_id: int, *, now: datetime) -> bool:
        """Whether nobody sends to a study, and nobody has still to be asked about it."""
        with self._database.read() as transaction:
            study = transaction.studies.get(study_id)
            if study is None or study.state is not StudyState.RECEIVING:
                self._forget(study_id)
                return False
            if not self._is_idle(transaction, study, now=now):
                return False
        return self._counts is None or self._counts.has_answered(study, now=now)

    def _is_idle(self, transaction: Transaction, study: StudyRecord, *, now: datetime) -> bool:
        """Whether the sender has nothing open, and has paused longer than it is known to do."""
        sender = study.calling_ae_title
        if study.released_at is None or self._is_calling(transaction, sender):
            return False
        seconds = patience_seconds(
            transaction.arrivals.habits(sender, most=REMEMBERED_STUDIES),
            study.longest_pause_seconds,
            unknown_seconds=self._settings.unknown_sender_seconds,
        )
        return study.released_at + timedelta(seconds=seconds) <= now

    def _is_calling(self, transaction: Transaction, sender: str) -> bool:
        """Whether the sender has an association open, here or with another listener."""
        here = self._associations.is_calling(sender)
        return here or transaction.associations.is_calling(sender)

    def _judge(self, transaction: Transaction, study: StudyRecord) -> Evidence:
        """Weigh a study; what was weighed before is remembered."""
        seen = (study.last_received_at, study.expected_instances, study.is_interrupted)
        if study.id not in self._judged or self._judged[study.id][0] != seen:
            evidence = judge(
                transaction.arrivals.images(study.id),
                expected=study.expected_instances,
                expected_by=study.expected_by or "",
                is_interrupted=study.is_interrupted,
            )
            self._judged[study.id] = seen, evidence
            if not evidence.is_proof:
                logger.info("not complete by evidence: %s", evidence.words)
        return self._judged[study.id][1]

    def _forget(self, study_id: int) -> None:
        self._watched.discard(study_id)
        self._judged.pop(study_id, None)
        if self._counts is not None:
            self._counts.forget(study_id)
