"""``midline queue``: list and show the analyses, and decide about them."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import typer
from rich.table import Table

from config.errors import UsageError
from node.cli.acting import act
from node.cli.moments import moment_of
from node.cli.output import (
    AsJson,
    duration,
    moment_in_words,
    show_table,
    table_of,
    write_facts,
    write_json,
    write_table,
)
from node.cli.picturing import draw, write_drawn
from node.cli.site import open_index, settings_for_person
from node.cli.telling import tell_looked_at
from node.cli.timeline import write_timeline
from node.cli.watching import watch_table
from node.operating import actions
from node.operating.jobs import (
    JobDetail,
    JobEntry,
    JobFilter,
    ShownDelivery,
    ShownResult,
    listed,
    shown,
)
from storage.database import Database
from storage.records import JobState, Priority

OutcomeName = Literal["POSITIVE", "NEGATIVE", "PARTIAL", "FAILED", "NOT_ATTEMPTED"]
"""As `node.results.outcomes.Outcome`, which would take seconds to import; a test compares them."""
WATCH_SECONDS = 2.0

Job = Annotated[int, typer.Argument(metavar="JOB", help="Number of the job.", min=1)]

app = typer.Typer(help="List and show the analyses, and decide about them.")


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
    priority: Annotated[
        Priority | None, typer.Option(case_sensitive=False, help="Only jobs of this priority.")
    ] = None,
    sender: Annotated[
        str | None, typer.Option(metavar="AE", help="Only studies that this AE title sent.")
    ] = None,
    study: Annotated[int | None, typer.Option(min=1, help="Only jobs of this study.")] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN", help="Only studies complete since then: 2h, 3d, or a local time."
        ),
    ] = None,
    before: Annotated[
        int | None, typer.Option(metavar="JOB", min=1, help="Only jobs before this one.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many jobs.")] = 20,
    watch: Annotated[bool, typer.Option("--watch", help="Go on showing it until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the latest analyses."""
    settings = settings_for_person(context)
    wanted = JobFilter(
        state=state,
        outcome=outcome,
        priority=priority,
        sender=sender,
        study_id=study,
        since=moment_of(since, "--since", now=datetime.now(UTC)),
    )
    with open_index(settings) as database:
        if watch:
            if as_json:
                raise UsageError("--watch and --json exclude each other")
            watch_table(
                lambda: _jobs_table(_listed(database, wanted, before, limit)),
                seconds=WATCH_SECONDS,
            )
            return
        jobs = _listed(database, wanted, before, limit)
    if as_json:
        write_json(jobs)
    else:
        show_table(_jobs_table(jobs))


def _listed(
    database: Database, wanted: JobFilter, before: int | None, limit: int
) -> tuple[JobEntry, ...]:
    with database.read() as transaction:
        return listed(transaction, wanted, limit=limit, before=before).jobs


def _jobs_table(jobs: tuple[JobEntry, ...]) -> Table:
    return table_of(
        "Jobs",
        (
            ">Job",
            ">Study",
            ">Run",
            "State",
            "Priority",
            "Outcome",
            "Reason",
            "From",
            ">Images",
            "Last image",
            ">To report",
        ),
        [
            (
                job.id,
                job.study_id,
                job.run,
                job.state,
                job.priority,
                job.outcome,
                job.reason,
                job.calling_ae_title,
                job.num_instances,
                moment_in_words(job.last_received_at),
                duration(job.seconds_to_report),
            )
            for job in jobs
        ],
    )


@app.command()
def show(
    context: typer.Context,
    job_id: Job,
    *,
    picture: Annotated[
        bool,
        typer.Option("--picture", help="Draw key slices too; needs a terminal and the file store."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show one analysis: its study, what was found, what was made, where it was delivered."""
    if picture and as_json:
        raise UsageError("--picture and --json exclude each other")
    settings = settings_for_person(context)
    with open_index(settings) as database:
        with database.read() as transaction:
            job = shown(transaction, job_id)
        tell_looked_at(database, settings, job.study_id)
        drawn = draw(database, settings, job) if picture else None
    if as_json:
        write_json(job)
        return
    _write_job(job)
    write_timeline(job.timeline)
    _write_selection(job.selection)
    _write_results(job.results)
    _write_deliveries(job.deliveries)
    if drawn is not None:
        write_drawn(drawn)


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
    again = actions.resend if deliveries else actions.retry
    act(context, lambda desk: again(desk, job_id))


@app.command()
def cancel(context: typer.Context, job_id: Job) -> None:
    """Give an analysis up; its study gets a report that says so."""
    act(context, lambda desk: actions.cancel(desk, job_id))


@app.command()
def prioritise(
    context: typer.Context,
    job_id: Job,
    priority: Annotated[
        Priority, typer.Argument(case_sensitive=False, help="STAT starts first, LOW last.")
    ],
) -> None:
    """Let a queued analysis start before or after the others."""
    act(context, lambda desk: actions.prioritise(desk, job_id, priority))


@app.command()
def readmit(
    context: typer.Context,
    study_id: Annotated[
        int, typer.Argument(metavar="STUDY", help="Number of the study, as status shows it.")
    ],
) -> None:
    """Take a study out of quarantine, after somebody has looked at it."""
    act(context, lambda desk: actions.readmit(desk, study_id))


def _write_job(job: JobDetail) -> None:
    study = job.study
    write_facts(
        [
            ("Job", f"{job.id}, run {job.run}, {job.state}, {job.priority}"),
            ("Outcome", job.outcome),
            ("Reason", job.reason),
            ("Message", job.message),
            ("Model", job.model),
            ("Findings", job.findings and json.dumps(job.findings)),
            ("Study", f"{job.study_id}, generation {job.generation}, {job.num_instances} images"),
            ("Study Instance UID", job.study_instance_uid),
            ("From", study and study.calling_ae_title),
            ("Complete by", study and study.evidence),
            ("Last image", moment_in_words(job.last_received_at)),
            ("Completed", study and moment_in_words(study.completed_at)),
            ("Started", moment_in_words(job.started_at) or None),
            ("Finished", moment_in_words(job.finished_at) or None),
            ("Image to report", duration(job.seconds_to_report) or None),
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


def _write_results(results: tuple[ShownResult, ...]) -> None:
    write_table(
        "Results",
        ("Kind", "SOP Instance UID", "File", "Made"),
        [(r.kind, r.sop_instance_uid, r.path, moment_in_words(r.created_at)) for r in results],
    )


def _write_deliveries(deliveries: tuple[ShownDelivery, ...]) -> None:
    write_table(
        "Deliveries",
        ("To", "Kind", "State", ">Attempts", "Sent", "Committed", "Next attempt", "Last error"),
        [
            (
                d.destination,
                d.kind,
                d.state,
                d.attempts,
                moment_in_words(d.sent_at),
                moment_in_words(d.committed_at) or d.commitment,
                moment_in_words(d.next_attempt_at),
                d.commitment_error or d.last_error,
            )
            for d in deliveries
        ],
    )
