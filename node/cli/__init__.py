"""The command line: ``midline``, ``python run_node.py`` and ``python -m node.cli`` are the same."""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

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


def main() -> None:
    """Run ``midline``; ends with an exit code, see `node.cli.border`."""
    app(prog_name=PROGRAM)
