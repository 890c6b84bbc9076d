"""The command line: ``midline``, ``python run_node.py`` and ``python -m node.cli`` are the same."""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from node.cli import (
    accounts,
    acting,
    audit,
    certs,
    configuring,
    data,
    database,
    doctor,
    documents,
    evaluating,
    overview,
    peers,
    queue,
    reporting,
    reproducing,
    retention,
    schemas,
    service,
    tools,
    training,
)
from node.cli.border import PROGRAM, CommandGroup

app = typer.Typer(
    name=PROGRAM,
    cls=CommandGroup,
    help="A DICOM node that reads head CT for intracranial haemorrhage and reports to the PACS. "
    "Research use only, not for diagnosis.",
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{PROGRAM} {version(PROGRAM)}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    *,
    config: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Settings file, TOML; see midline.example.toml."
        ),
    ] = None,
    show_version: Annotated[  # noqa: ARG001 - its callback answers
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Version.")
    ] = False,
) -> None:
    """Keep what all commands need."""
    context.obj = config
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


RUN, LOOK, TRY = "Run the node", "Look after the node", "Try and test"
LEARN = "Train and measure models"

COMMANDS: tuple[tuple[str, Callable[..., None]], ...] = (
    (RUN, service.serve),
    (RUN, service.listen),
    (RUN, service.analyse),
    (RUN, service.deliver),
    (RUN, service.page),
    (LOOK, overview.status),
    (LOOK, acting.drain),
    (LOOK, acting.resume),
    (LOOK, acting.reprocess),
    (LOOK, doctor.doctor),
    (LOOK, documents.conformance),
    (LOOK, schemas.schemas),
    (TRY, tools.demo),
    (TRY, tools.segment),
    (TRY, tools.send),
    (TRY, tools.echo),
    (TRY, tools.synth),
    (TRY, certs.certs),
    (LEARN, training.train),
    (LEARN, evaluating.evaluate),
    (LEARN, reproducing.reproduce),
    (LEARN, reproducing.experiment),
)
for panel, command in COMMANDS:
    app.command(rich_help_panel=panel)(command)
app.add_typer(configuring.app, name="config", rich_help_panel=LOOK)
app.add_typer(accounts.app, name="accounts", rich_help_panel=LOOK)
app.add_typer(audit.app, name="audit", rich_help_panel=LOOK)
app.add_typer(retention.app, name="retention", rich_help_panel=LOOK)
app.add_typer(queue.app, name="queue", rich_help_panel=LOOK)
app.add_typer(peers.app, name="peers", rich_help_panel=LOOK)
app.add_typer(database.app, name="db", rich_help_panel=LOOK)
app.add_typer(reporting.app, name="report", rich_help_panel=TRY)
app.add_typer(data.app, name="data", rich_help_panel=LEARN)


def main() -> None:
    """Run ``midline``; ends with an exit code, see `node.cli.border`."""
    app(prog_name=PROGRAM)
