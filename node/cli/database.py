"""``midline db``: the version of the index, whether it is sound, and a copy of it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from node.cli.output import AsJson, progress, write_facts, write_json, write_table
from node.cli.site import open_index, settings_for_person
from node.operating.desk import open_files
from node.upkeep import check_files
from storage.upkeep import back_up, faults, known_files, versions

app = typer.Typer(help="Look after the database: upgrade, check, back up.")

MOST_SHOWN = 20


@dataclass(frozen=True)
class Checked:
    """Whether the index is sound, and every file that it names is there.

    Attributes
    ----------
    version, newest
        Of the tables, and what this version of the node needs.
    faults
        Contradictions in the index, in words.
    num_files
        How many files the index names.
    missing, altered
        Which of them are not there, or are not what was written; by their paths in the store.
    """

    version: str | None
    newest: str | None
    faults: tuple[str, ...]
    num_files: int
    missing: tuple[str, ...]
    altered: tuple[str, ...]


@dataclass(frozen=True)
class BackUp:
    """A copy of index and queue.

    Attributes
    ----------
    file, num_bytes
        Where, and how large.
    started_at
        What was committed by then is in it.
    """

    file: str
    num_bytes: int
    started_at: datetime


@app.command()
def upgrade(context: typer.Context) -> None:
    """Bring the tables of index and queue to their newest version, as a start of the node does."""
    from node import roles  # noqa: PLC0415 - torch takes seconds to load

    settings = settings_for_person(context)
    roles.prepare(settings)
    with open_index(settings) as database:
        typer.echo(f"the tables have version {versions(database).current}, the newest")


@app.command()
def check(
    context: typer.Context,
    *,
    digests: Annotated[
        bool, typer.Option("--digests", help="Read every file and compare its digest: slow.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Tell whether the index is sound and every file that it names is there; exit code 1 if not."""
    settings = settings_for_person(context)
    files = open_files(settings.storage.folder)
    with open_index(settings) as database:
        version, contradictions = versions(database), faults(database)
        with progress("looking at files", total=None, shown=not as_json) as bar:
            found = check_files(known_files(database), files, digests=digests, step=bar.step)
    if as_json:
        write_json(
            Checked(
                version=version.current,
                newest=version.newest,
                faults=tuple(contradictions),
                num_files=found.num_files,
                missing=tuple(found.missing),
                altered=tuple(found.altered),
            )
        )
    else:
        write_facts(
            (
                ("Version", f"{version.current} (newest: {version.newest})"),
                ("Files", found.num_files),
                ("Missing", len(found.missing)),
                ("Altered", len(found.altered)),
            )
        )
        shown = [(text,) for text in contradictions]
        shown += [(f"missing: {path}",) for path in found.missing[:MOST_SHOWN]]
        shown += [(f"altered: {path}",) for path in found.altered[:MOST_SHOWN]]
        write_table("Faults", ("What",), shown)
    if contradictions or not (found.is_sound and version.is_newest):
        raise typer.Exit(1)


@app.command()
def backup(
    context: typer.Context,
    target: Annotated[Path, typer.Argument(metavar="FILE", help="A new file.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Copy index and queue into a file while the node runs.

    Copy the folder of the store after it, not before: then the copy has every file that the index
    names.
    """
    started = datetime.now(UTC)
    with open_index(settings_for_person(context)) as database:
        num_bytes = back_up(database, target)
    if as_json:
        write_json(BackUp(str(target), num_bytes, started))
    else:
        typer.echo(f"{target}: {num_bytes / 1e6:.1f} MB; now copy the folder of the store")
