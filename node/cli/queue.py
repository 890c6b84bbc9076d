"""``midline queue``: list and show the analyses, run one again, give one up, readmit a study."""

import json
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from config.errors import Reason, UsageError
from node.cli.output import AsJson, as_dict, duration, write_facts, write_json, write_table
from node.cli.site import open_files, open_index, settings_for_person
from node.cli.telling import tell_looked_at, tell_operated
from node.retention import num_missing
from storage.database import Database, Transaction
from storage.files import FileStore
from storage.records import (
    CompleteStudy,
    DeliveryRecord,
    JobRecord,
    JobState,
    ResultRecord,
    StudyState,
)

if TYPE_CHECKING:
    from node.engine import Queues

OutcomeName = Literal["POSITIVE", "NEGATIVE", "PARTIAL", "FAILED", "NOT_ATTEMPTED"]
"""As `node.results.outcomes.Outcome`, which would take seconds to import; a test compares them."""
ENDED = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)
MOST_DELIVERIES = 1000

Job = Annotated[int, typer.Argument(metavar="JOB", help="Number of the job.", min=1)]

app = typer.Typer(help="List and show the analyses, run one again, give one up.")


@app.command("list")
def list_jobs(
    context: typer.Context,
    *,
    state: Annotated[
        JobState | None, typer.Option(case_sensitive=False, help="Only jobs in this state.")
    ] = None,
    outcome: Annotated[
        OutcomeName | None,
        typer.Option(case_sensitive=False, help="Only jobs whose report says this."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many jobs.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the latest analyses."""
    settings = settings_for_person(context)
    with open_index(settings) as database, database.read() as transaction:
        jobs = transaction.jobs.list(state=state, outcome=outcome, limit=limit)
    if as_json:
        write_json([_job_object(job) for job in jobs])
        return
    write_table(
        "Jobs",
        (
            ">Job",
            ">Study",
            ">Gen.",
            ">Run",
            "State",
            "Outcome",
            "Reason",
            ">Images",
            "Last image",
            ">To report",
        ),
        [
            (
                job.id,
                job.study_id,
                job.generation,
                job.run,
                job.state,
                job.outcome,
                job.reason,
                job.num_instances,
                _moment(job.last_received_at),
                duration(_seconds(job)),
            )
            for job in jobs
        ],
    )


@app.command()
def show(context: typer.Context, job_id: Job, *, as_json: AsJson = False) -> None:
    """Show one analysis: its study, what was found, what was made, where it was delivered."""
    settings = settings_for_person(context)
    with open_index(settings) as database, database.read() as transaction:
        job = _existing(transaction, job_id)
        study = transaction.studies.read_complete(job.study_id, job.generation)
        results = transaction.results.of_job(job_id)
        deliveries = transaction.results.deliveries(job_id=job_id, limit=MOST_DELIVERIES)
        tell_looked_at(database, settings, job.study_id)
    if as_json:
        write_json(
            {
                **_job_object(job),
                "study": _study_object(study),
                "results": [as_dict(result) for result in results],
                "deliveries": [as_dict(delivery) for delivery in deliveries],
            }
        )
        return
    _write_job(job, study)
    _write_selection(_unpacked(job.selection_json))
    _write_results(results)
    _write_deliveries(deliveries)


@app.command()
def retry(
    context: typer.Context,
    job_id: Job,
    *,
    deliveries: Annotated[
        bool, typer.Option("--deliveries", help="Only send again what could not be delivered.")
    ] = False,
) -> None:
    """Run an ended analysis again, or send again what could not be delivered."""
    settings = settings_for_person(context)
    again = _deliver_again if deliveries else _analyse_again
    with open_index(settings) as database:
        if not deliveries:
            _check_images(database, open_files(settings), job_id)
        said = _with_queues(database, lambda queues: again(database, queues, job_id))
        tell_operated(database, settings, _study_of(database, job_id), "queue retry")
    typer.echo(said)


@app.command()
def cancel(context: typer.Context, job_id: Job) -> None:
    """Give an analysis up; its study gets a report that says so."""
    settings = settings_for_person(context)
    with open_index(settings) as database:
        said = _with_queues(database, lambda queues: _cancel(database, queues, job_id))
        tell_operated(database, settings, _study_of(database, job_id), "queue cancel")
    typer.echo(said)


@app.command()
def readmit(
    context: typer.Context,
    study_id: Annotated[
        int, typer.Argument(metavar="STUDY", help="Number of the study, as status shows it.")
    ],
) -> None:
    """Take a study out of quarantine, after somebody has looked at it."""
    settings = settings_for_person(context)
    with open_index(settings) as database:
        with database.begin() as transaction:
            study = transaction.studies.readmit(study_id, now=datetime.now(UTC))
        if study is None:
            raise UsageError(f"there is no quarantined study {study_id}; midline status lists them")
        tell_operated(database, settings, study_id, "queue readmit")
    if study.state is StudyState.COMPLETE:
        typer.echo(f"study {study_id} may be analysed: run its job again with midline queue retry")
    else:
        typer.echo(f"study {study_id} is received again, and analysed when it is complete")


def _check_images(database: Database, files: FileStore, job_id: int) -> None:
    """Refuse to analyse again what retention has removed."""
    with database.read() as transaction:
        job = _existing(transaction, job_id)
        study = transaction.studies.read_complete(job.study_id, job.generation)
    if study is None or job.state not in ENDED:
        return
    missing = num_missing(files, study)
    if missing:
        raise UsageError(
            f"{missing} of {len(study.instances)} images of job {job_id} are not in the store any "
            "more: send the study again first"
        )


def _study_of(database: Database, job_id: int) -> int:
    with database.read() as transaction:
        return _existing(transaction, job_id).study_id


def _with_queues(database: Database, act: "Callable[[Queues], str]") -> str:
    from node.engine import Queues  # noqa: PLC0415 - lists do without, and it takes a second

    with closing(Queues(database.engine)) as queues:
        return act(queues)


def _analyse_again(database: Database, queues: "Queues", job_id: int) -> str:
    """Put an ended job back, and enqueue its next run: both, or neither."""
    with database.begin() as transaction:
        job = _existing(transaction, job_id)
        if job.state not in ENDED:
            raise UsageError(f"job {job_id} is {job.state}; only an ended one can be run again")
        again = transaction.jobs.requeue(job_id)
        if again is None:
            raise UsageError(f"job {job_id} is queued already")
        transaction.retention.take_back(job.study_id)
        queues.analyse(transaction.session, job_id, run=again.run, priority=again.priority)
    return f"job {job_id} is queued for run {again.run}"


def _deliver_again(database: Database, queues: "Queues", job_id: int) -> str:
    """Reopen what a job's destinations did not get, or did not commit to: all of it, or nothing."""
    now = datetime.now(UTC)
    with database.begin() as transaction:
        _existing(transaction, job_id)
        resent = transaction.results.reopen(now=now, job_id=job_id)
        asked = transaction.commitments.reopen(job_id, now=now)
        for name in sorted({delivery.destination for delivery in (*resent, *asked)}):
            queues.deliver(transaction.session, job_id, name, opened_at=now)
    said = [
        f"{len(reopened)} results of job {job_id} are {what} {', '.join(names)}"
        for reopened, what in ((resent, "sent again to"), (asked, "to be committed to by"))
        for names in [sorted({delivery.destination for delivery in reopened})]
        if reopened
    ]
    if not said:
        raise UsageError(f"job {job_id} has no delivery that was given up")
    return "; ".join(said)


def _cancel(database: Database, queues: "Queues", job_id: int) -> str:
    """Give a job up and enqueue the report that says so; then stop its workflow."""
    with database.begin() as transaction:
        job = _existing(transaction, job_id)
        if transaction.jobs.cancel(job_id, now=datetime.now(UTC)) is None:
            raise UsageError(
                f"job {job_id} is {job.state}; only a queued or running one can be cancelled"
            )
        queues.report_failure(transaction.session, job_id, Reason.UNSPECIFIED, run=job.run)
    queues.cancel_analysis(job_id, run=job.run)
    return f"job {job_id} is cancelled; its study gets a report that says so"


def _existing(transaction: Transaction, job_id: int) -> JobRecord:
    job = transaction.jobs.get(job_id)
    if job is None:
        raise UsageError(f"there is no job {job_id}; midline queue list shows the latest")
    return job


def _job_object(job: JobRecord) -> dict[str, Any]:
    """Describe a job in JSON, with findings and selection unpacked."""
    return {
        **as_dict(job, "findings_json", "selection_json"),
        "findings": _unpacked(job.findings_json),
        "selection": _unpacked(job.selection_json),
        "seconds_to_report": _seconds(job),
    }


def _unpacked(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _study_object(study: CompleteStudy | None) -> dict[str, Any] | None:
    if study is None:
        return None
    described = as_dict(study, "instances", "patient_key")
    return {**described, "num_instances": len(study.instances)}


def _seconds(job: JobRecord) -> float | None:
    """Seconds from the last image to the report, of the first run."""
    if job.finished_at is None or job.run > 1:
        return None
    return (job.finished_at - job.last_received_at).total_seconds()


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _write_job(job: JobRecord, study: CompleteStudy | None) -> None:
    write_facts(
        [
            ("Job", f"{job.id}, run {job.run}, {job.state}"),
            ("Outcome", job.outcome),
            ("Reason", job.reason),
            ("Message", job.message),
            ("Model", job.model),
            ("Findings", job.findings_json),
            ("Study", f"{job.study_id}, generation {job.generation}, {job.num_instances} images"),
            ("Study Instance UID", job.study_instance_uid),
            ("From", study and study.calling_ae_title),
            ("Complete by", study and study.evidence),
            ("Last image", _moment(job.last_received_at)),
            ("Completed", study and _moment(study.completed_at)),
            ("Started", _moment(job.started_at) or None),
            ("Finished", _moment(job.finished_at) or None),
            ("Image to report", duration(_seconds(job)) or None),
            ("Worker", job.executor_id),
            ("Started so often", job.attempts),
        ]
    )


def _write_selection(selection: dict[str, Any] | None) -> None:
    """Write which series was chosen, and why the others were not."""
    if selection is None:
        return
    chosen = selection["chosen"]
    columns = ("series_number", "rejection", "sentence", "detail", "series_instance_uid")
    rows = [tuple(series[column] for column in columns) for series in selection["rejected"]]
    if chosen is not None:
        told = f"score {chosen['score']:g}, {chosen['num_images']} images"
        cautions = ", ".join(chosen["cautions"])
        uid = chosen["series_instance_uid"]
        rows.insert(0, (chosen["series_number"], "CHOSEN", told, cautions, uid))
    write_table("Series", (">Number", "Choice", "Why", "Detail", "Series Instance UID"), rows)


def _write_results(results: tuple[ResultRecord, ...]) -> None:
    write_table(
        "Results",
        ("Kind", "SOP Instance UID", "File", "Made"),
        [(r.kind, r.sop_instance_uid, r.path, _moment(r.created_at)) for r in results],
    )


def _write_deliveries(deliveries: tuple[DeliveryRecord, ...]) -> None:
    write_table(
        "Deliveries",
        ("To", "Kind", "State", ">Attempts", "Sent", "Committed", "Next attempt", "Last error"),
        [
            (
                d.destination,
                d.kind,
                d.state,
                d.attempts,
                _moment(d.sent_at),
                _moment(d.committed_at) or d.commitment,
                _moment(d.next_attempt_at),
                d.commitment_error or d.last_error,
            )
            for d in deliveries
        ],
    )
