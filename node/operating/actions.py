"""What operators may do: each action changes all or nothing, and the audit trail tells who did it.

An action that cannot be raises `UsageError` and has changed nothing.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from config.errors import Reason, UsageError
from node.audit import events
from node.operating.desk import Desk
from node.operating.jobs import existing
from storage.database import Transaction
from storage.records import JobRecord, JobState, Priority, StudyRecord, StudyState

ENDED = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


class WorkRole(StrEnum):
    """A role that takes work from a queue, by the queue's name."""

    ANALYSE = "analyse"
    DELIVER = "deliver"


ROLES = tuple(WorkRole)


@dataclass(frozen=True)
class Done:
    """What an action did.

    Attributes
    ----------
    said
        In one line, for the person who asked.
    study_id, job_id
        To whom; None for what concerns the whole node.
    """

    said: str
    study_id: int | None = None
    job_id: int | None = None


def retry(desk: Desk, job_id: int) -> Done:
    """Run an ended analysis again.

    Raises
    ------
    UsageError
        If there is no such job, it has not ended, or its images are not in the store any more.
    """
    with desk.database.read() as transaction:
        job = existing(transaction, job_id)
    return _run_again(desk, job, "queue retry")


def reprocess(desk: Desk, study_id: int) -> Done:
    """Analyse a study anew with the present model and settings, whatever came of it before.

    Its report names the former ones as its predecessors.

    Raises
    ------
    UsageError
        If there is no such study, it is not complete, its analysis has not ended, or its images are
        not in the store any more.
    """
    with desk.database.read() as transaction:
        study = _existing_study(transaction, study_id)
        jobs = transaction.jobs.list(study_id=study_id, limit=1)
    if study.state is StudyState.QUARANTINED:
        raise UsageError(
            f"study {study_id} is in quarantine; look at it, then midline queue readmit {study_id}"
        )
    if study.state is StudyState.RECEIVING or not jobs:
        raise UsageError(f"study {study_id} is still arriving, and analysed when it is complete")
    return _run_again(desk, jobs[0], "reprocess")


def resend(desk: Desk, job_id: int) -> Done:
    """Send again what a job's destinations did not get, or did not commit to.

    Raises
    ------
    UsageError
        If there is no such job, or nothing of it was given up.
    """
    now = datetime.now(UTC)
    with desk.database.begin() as transaction:
        job = existing(transaction, job_id)
        resent = transaction.results.reopen(now=now, job_id=job_id)
        asked = transaction.commitments.reopen(job_id, now=now)
        for name in sorted({delivery.destination for delivery in (*resent, *asked)}):
            desk.queues.deliver(
                transaction.session, job_id, name, opened_at=now, priority=job.priority
            )
    said = [
        f"{len(reopened)} results of job {job_id} are {what} {', '.join(names)}"
        for reopened, what in ((resent, "sent again to"), (asked, "to be committed to by"))
        for names in [sorted({delivery.destination for delivery in reopened})]
        if reopened
    ]
    if not said:
        raise UsageError(f"job {job_id} has no delivery that was given up")
    return _told(desk, job, "queue retry --deliveries", "; ".join(said))


def cancel(desk: Desk, job_id: int) -> Done:
    """Give an analysis up; its study gets a report that says so.

    Raises
    ------
    UsageError
        If there is no such job, or it has ended.
    """
    with desk.database.begin() as transaction:
        job = existing(transaction, job_id)
        if transaction.jobs.cancel(job_id, now=datetime.now(UTC)) is None:
            raise UsageError(
                f"job {job_id} is {job.state}; only a queued or running one can be cancelled"
            )
        desk.queues.report_failure(transaction.session, job_id, Reason.UNSPECIFIED, run=job.run)
    desk.queues.cancel_analysis(job_id, run=job.run)
    said = f"job {job_id} is cancelled; its study gets a report that says so"
    return _told(desk, job, "queue cancel", said)


def prioritise(desk: Desk, job_id: int, priority: Priority) -> Done:
    """Let a queued analysis start before or after others.

    Raises
    ------
    UsageError
        If there is no such job, or it is not queued any more.
    """
    with desk.database.begin() as transaction:
        job = existing(transaction, job_id)
        moved = transaction.jobs.prioritise(job_id, priority)
        if moved is None or not desk.queues.prioritise(
            transaction.session, job_id, priority, run=job.run
        ):
            raise UsageError(f"job {job_id} is {job.state}; only a queued one can be put elsewhere")
    return _told(desk, job, f"queue prioritise {priority}", f"job {job_id} is {priority} now")


def readmit(desk: Desk, study_id: int) -> Done:
    """Take a study out of quarantine, after somebody has looked at it.

    Raises
    ------
    UsageError
        If there is no such study in quarantine.
    """
    with desk.database.begin() as transaction:
        study = transaction.studies.readmit(study_id, now=datetime.now(UTC))
        if study is None:
            raise UsageError(f"there is no quarantined study {study_id}; midline status lists them")
    desk.audit(events.operated(desk.person, study, "queue readmit"))
    if study.state is StudyState.COMPLETE:
        said = f"study {study_id} may be analysed: midline reprocess {study_id}"
    else:
        said = f"study {study_id} is received again, and analysed when it is complete"
    return Done(said, study_id=study_id)


def drain(desk: Desk, roles: tuple[WorkRole, ...] = ROLES) -> Done:
    """Let workers end what they hold, and take nothing new; images are received as before.

    It holds for workers that start later too, until `resume`.

    Raises
    ------
    UsageError
        If all of these roles are drained already.
    """
    with desk.database.begin() as transaction:
        now = transaction.now()
        begun = [role for role in roles if transaction.drains.begin(role, now=now)]
        num_running = transaction.jobs.counts()[JobState.RUNNING]
    if not begun:
        raise UsageError(f"{_named(roles)}: drained already; midline resume ends that")
    _tell_of_roles(desk, begun, "drain")
    still = f"; {num_running} analyses are still running" if num_running else ""
    return Done(f"no new work for {_named(begun)} until midline resume{still}")


def resume(desk: Desk, roles: tuple[WorkRole, ...] = ROLES) -> Done:
    """Let workers take new work again.

    Raises
    ------
    UsageError
        If none of these roles is drained.
    """
    with desk.database.begin() as transaction:
        ended = [role for role in roles if transaction.drains.end(role)]
    if not ended:
        raise UsageError(f"{_named(roles)}: not drained; midline status tells what is")
    _tell_of_roles(desk, ended, "resume")
    return Done(f"{_named(ended)}: work is taken again")


def _run_again(desk: Desk, job: JobRecord, command: str) -> Done:
    """Put an ended job back, and enqueue its next run: both, or neither."""
    from node.retention import num_missing  # noqa: PLC0415 - lists do without all that it needs

    _refuse_open(job)
    with desk.database.read() as transaction:
        study = transaction.studies.read_complete(job.study_id, job.generation)
    missing = 0 if study is None else num_missing(desk.files, study)
    if study is not None and missing:
        raise UsageError(
            f"{missing} of {len(study.instances)} images of job {job.id} are not in the store any "
            "more: send the study again first"
        )
    with desk.database.begin() as transaction:
        # it may have moved since it was looked at
        _refuse_open(existing(transaction, job.id))
        again = transaction.jobs.requeue(job.id)
        if again is None:
            raise UsageError(f"job {job.id} is queued already")
        transaction.retention.take_back(job.study_id)
        desk.queues.analyse(transaction.session, job.id, run=again.run, priority=again.priority)
    return _told(desk, job, command, f"job {job.id} is queued for run {again.run}")


def _refuse_open(job: JobRecord) -> None:
    if job.state not in ENDED:
        raise UsageError(f"job {job.id} is {job.state}; only an ended one can be run again")


def _existing_study(transaction: Transaction, study_id: int) -> StudyRecord:
    study = transaction.studies.get(study_id)
    if study is None:
        raise UsageError(f"there is no study {study_id}; midline queue list shows their numbers")
    return study


def _told(desk: Desk, job: JobRecord, command: str, said: str) -> Done:
    """Tell the trail what was done about a job's study, and answer."""
    with desk.database.read() as transaction:
        study = transaction.studies.get(job.study_id)
    if study is not None:
        desk.audit(events.operated(desk.person, study, command))
    return Done(said, study_id=job.study_id, job_id=job.id)


def _tell_of_roles(desk: Desk, roles: list[WorkRole], command: str) -> None:
    for role in roles:
        desk.audit(events.operated_role(desk.person, role, command))


def _named(roles: tuple[WorkRole, ...] | list[WorkRole]) -> str:
    return " and ".join(roles)
