"""``midline retention``: which images may go, and have them go now."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer

from config.settings import Settings
from node.audit.trail import person, trail_of
from node.cli.output import AsJson, moment_in_words, write_json, write_table
from node.cli.site import open_index, settings_for_person
from node.custody import Stores
from node.engine import Queues
from node.operating.desk import open_files
from node.operating.values import made_of
from node.retention import Retention, goes_at
from storage.database import Database
from storage.records import FinishedStudy

app = typer.Typer(help="Show which images of finished studies may go, and remove them.")


@dataclass(frozen=True)
class KeptStudy(FinishedStudy):
    """A study with which nothing is left to be done, and whose images are here.

    Attributes
    ----------
    goes_at
        When its images go; None if they go for room only.
    """

    goes_at: datetime | None


@app.command()
def show(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show the finished studies whose images are here, and when they go."""
    settings, now = settings_for_person(context), datetime.now(UTC)
    with open_index(settings) as database:
        studies = _retention(settings, database).finished(now=now)
    keep = settings.retention.keep_days
    if as_json:
        write_json([_kept(study, keep) for study in studies])
        return
    _write("Finished studies", studies, keep)


@app.command()
def run(
    context: typer.Context,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove the images that are due now, and files that nobody needs."""
    settings, now = settings_for_person(context), datetime.now(UTC)
    with open_index(settings) as database:
        retention = _retention(settings, database)
        if dry_run:
            due = retention.due(now=now)
            if as_json:
                write_json([_kept(study, settings.retention.keep_days) for study in due])
            else:
                _write("Would go now", due, settings.retention.keep_days)
            return
        gone = retention.run(now=now)
    if as_json:
        write_json(gone)
        return
    typer.echo(
        f"images of {len(gone.study_ids)} studies are removed, {gone.num_bytes} bytes; "
        f"{gone.num_orphans} files that nobody needed, {gone.num_parts} half written; "
        f"{gone.num_adopted} images without a row were entered"
    )


def _kept(study: FinishedStudy, keep_days: float | None) -> KeptStudy:
    goes = None if keep_days is None else goes_at(study, keep_days)
    return made_of(KeptStudy, study, goes_at=goes)


def _retention(settings: Settings, database: Database) -> Retention:
    stores = Stores(
        database=database,
        files=open_files(settings.storage.folder),
        queues=Queues(database.engine),
        max_instance_bytes=settings.node.max_instance_bytes,
        audit=trail_of(database, settings).write,
    )
    return Retention(stores, settings.retention, person=person())


def _write(title: str, studies: tuple[FinishedStudy, ...], keep_days: float | None) -> None:
    write_table(
        title,
        (">Study", ">Images", ">Bytes", "Settled", "Goes"),
        [
            (
                study.id,
                study.num_images,
                study.num_bytes,
                moment_in_words(study.settled_at),
                "for room only"
                if keep_days is None
                else moment_in_words(goes_at(study, keep_days)),
            )
            for study in studies
        ],
    )
