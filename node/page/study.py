"""One study: when what happened to it, what was chosen and why, what was made, and who got it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.responses import PlainTextResponse, Response

from config.errors import UsageError
from node.audit import events
from node.operating.actions import ENDED
from node.operating.jobs import JobDetail, JobEntry, JobFilter, ShownDelivery, listed, shown
from node.page.visits import Visit
from node.stages import read_stages
from storage.records import (
    CommitmentState,
    DeliveryState,
    JobState,
    ListedStudy,
    Priority,
    StudyFilter,
    StudyRecord,
)

MOST_JOBS = 50
STATED = ("case_score_percent", "volume_ml", "side", "midline_shift", "familiarity")
UNSETTLED = (CommitmentState.FAILED, CommitmentState.UNANSWERED)


@dataclass(frozen=True)
class Step:
    """Something that happened to a study.

    Attributes
    ----------
    what
        In a few words.
    at
        When.
    seconds
        Since the step before; None for the first.
    detail
        What else is known of it.
    """

    what: str
    at: datetime
    seconds: float | None
    detail: str = ""


@dataclass(frozen=True)
class StudyView:
    """All that is shown of a study.

    Attributes
    ----------
    row
        As the queue shows it.
    jobs
        Of all its generations, the latest first.
    detail
        The job that is looked at; None before the first.
    steps
        What happened, in its order.
    """

    study: StudyRecord
    row: ListedStudy
    jobs: tuple[JobEntry, ...]
    detail: JobDetail | None
    steps: tuple[Step, ...]
    now: datetime

    @property
    def may_retry(self) -> bool:
        """Whether the job can be run again."""
        return self.detail is not None and self.detail.state in ENDED

    @property
    def may_cancel(self) -> bool:
        """Whether the job can be given up."""
        return self.detail is not None and self.detail.state in (JobState.QUEUED, JobState.RUNNING)

    @property
    def may_prioritise(self) -> bool:
        """Whether the job can be put before others."""
        return self.detail is not None and self.detail.state is JobState.QUEUED

    @property
    def may_resend(self) -> bool:
        """Whether somebody did not get all, or does not commit to it."""
        return self.detail is not None and any(
            each.state is DeliveryState.DEAD or each.commitment in UNSETTLED
            for each in self.detail.deliveries
        )

    @property
    def priorities(self) -> tuple[Priority, ...]:
        """What a job can be put at."""
        return tuple(Priority)

    @property
    def findings(self) -> dict[str, Any]:
        """Volumes and scores of the report; what it does not state is None."""
        found = (self.detail.findings if self.detail is not None else None) or {}
        return {name: found.get(name) for name in STATED}

    @property
    def selection(self) -> dict[str, Any]:
        """Which series was chosen, and why the others were not."""
        return (self.detail.selection if self.detail is not None else None) or {}


def show(visit: Visit) -> Response:
    """Show a study, and tell the trail who saw it."""
    view = _read(visit)
    site = visit.site
    site.desk.audit(events.looked_at(visit.visitor.person, view.study))
    has_slices = site.settings.page.show_slices and bool(view.findings.get("volume_ml"))
    return visit.render("study.html", view=view, now=view.now, has_slices=has_slices)


def live(visit: Visit) -> Response:
    """Show what changes of it."""
    view = _read(visit)
    stable = (view.study, view.row, view.jobs, view.detail, view.steps)
    return visit.live("study_live.html", *stable, view=view, now=view.now)


def slices(visit: Visit) -> Response:
    """Show the slices with what was outlined: drawn the first time, which may take seconds."""
    job = _job_with_slices(visit)
    drawn = visit.site.slices.of_job(job.id, job.run)
    return visit.live("slices.html", job.id, job.run, drawn, job=job, drawn=drawn)


def picture(visit: Visit) -> Response:
    """Give one of these slices."""
    job, number = _job_with_slices(visit), visit.number("number")
    drawn = visit.site.slices.of_job(job.id, job.run).pictures
    if number >= len(drawn):
        return PlainTextResponse("there is no such slice", 404)
    return Response(drawn[number].png, media_type="image/png")


def _job_with_slices(visit: Visit) -> JobEntry:
    if not visit.site.settings.page.show_slices:
        raise UsageError("slices are not shown: page.show_slices")
    with visit.site.database.read() as transaction:
        return shown(transaction, visit.number("job_id"))


def _read(visit: Visit) -> StudyView:
    study_id = visit.number("study_id")
    with visit.site.database.read() as transaction:
        now = transaction.now()
        study = transaction.studies.get(study_id)
        rows = transaction.listing.studies(StudyFilter(number=study_id), limit=2)
        row = next((each for each in rows if each.id == study_id), None)
        if study is None or row is None:
            raise UsageError(f"there is no study {study_id}; the queue shows their numbers")
        jobs = listed(transaction, JobFilter(study_id=study_id), limit=MOST_JOBS).jobs
        chosen = _chosen(jobs, visit.request.query_params.get("job"))
        detail = None if chosen is None else shown(transaction, chosen.id)
        record = None if chosen is None else transaction.jobs.get(chosen.id)
    stages = None if record is None else record.stages_json
    return StudyView(study, row, jobs, detail, tuple(_steps(study, detail, stages)), now)


def _chosen(jobs: tuple[JobEntry, ...], wanted: str | None) -> JobEntry | None:
    """Find the job that is asked for; the latest if none is."""
    return next((job for job in jobs if str(job.id) == wanted), jobs[0] if jobs else None)


def _steps(study: StudyRecord, detail: JobDetail | None, stages: str | None) -> Iterator[Step]:
    """Put what happened in order, with the time between."""
    happened = [("first image", study.first_received_at, "")]
    happened.append(("last image", study.last_received_at, f"{study.num_instances} images held"))
    if study.released_at is not None:
        happened.append(("association released", study.released_at, ""))
    if detail is not None:
        happened += _of_job(detail)
        happened += [(f"analysis: {stage}", at, "") for stage, at in read_stages(stages).items()]
        happened += _of_deliveries(detail.deliveries)
    before: datetime | None = None
    for what, at, more in sorted(happened, key=lambda each: each[1]):
        yield Step(what, at, None if before is None else (at - before).total_seconds(), more)
        before = at


def _of_job(detail: JobDetail) -> Iterator[tuple[str, datetime, str]]:
    if detail.study is not None:
        evidence = f"by {detail.study.evidence}, {detail.num_instances} images"
        yield "complete", detail.study.completed_at, evidence
    if detail.started_at is not None:
        run = f"run {detail.run}" if detail.run > 1 else ""
        yield "analysis started", detail.started_at, run
    if detail.finished_at is not None:
        words = {JobState.FAILED: "ended without a report", JobState.CANCELLED: "cancelled"}
        yield words.get(detail.state, "report recorded"), detail.finished_at, detail.outcome or ""


def _of_deliveries(
    deliveries: tuple[ShownDelivery, ...],
) -> Iterator[tuple[str, datetime, str]]:
    """Tell when each destination had everything, and when it took responsibility."""
    for name in sorted({each.destination for each in deliveries}):
        awaited = [
            each
            for each in deliveries
            if each.destination == name and each.state is not DeliveryState.REPLACED
        ]
        sent = [each.sent_at for each in awaited if each.sent_at is not None]
        committed = [each.committed_at for each in awaited if each.committed_at is not None]
        if sent:
            yield f"sent to {name}", max(sent), f"{len(sent)} of {len(awaited)} objects"
        if committed:
            number = f"{len(committed)} of {len(awaited)} objects"
            yield f"committed by {name}", max(committed), number
