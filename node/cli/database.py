"""``midline db``: the version of the index, whether it is sound, and a copy of it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from node.cli.output import AsJson, progress, write_facts, write_json, write_table
from node.cli.site import open_index, settings_for_person
from node.upkeep import check_files
from storage.files import FileStore
from storage.upkeep import back_up, faults, known_files, versions

app = typer.Typer(help="Look after the database: upgrade, check, back up.")

MOST_SHOWN = 20


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
    files = FileStore(settings.storage.folder / "files", reserve_bytes=0)
    with open_index(settings) as database:
        version, contradictions = versions(database), faults(database)
        with progress("looking at files", total=None, shown=not as_json) as bar:
            found = check_files(known_files(database), files, digests=digests, step=bar.step)
    if as_json:
        write_json(
            {
                "version": version.current,
                "newest": version.newest,
                "faults": contradictions,
                "num_files": found.num_files,
                "missing": found.missing,
                "altered": found.altered,
            }
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
        write_json({"file": target, "num_bytes": num_bytes, "started_at": started})
    else:
        typer.echo(f"{target}: {num_bytes / 1e6:.1f} MB; now copy the folder of the store")
