"""``midline conformance``: what the node does, as DICOM and IHE want it told."""

from pathlib import Path
from typing import Annotated

import typer

from config.errors import UsageError
from node.cli.border import complain
from node.cli.output import progress
from node.cli.site import config_of, settings_for_person


def conformance(
    context: typer.Context,
    *,
    air: Annotated[
        bool, typer.Option("--air", help="The capabilities for IHE AI Results instead.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(dir_okay=False, help="File to write; without it, the screen.")
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="File to compare; nothing is written."),
    ] = None,
) -> None:
    """Write the DICOM conformance statement of this version, in Markdown.

    With midline --config FILE it is that of the site, with its AE titles and settings; without,
    that of a node that nobody has set up.
    """
    if out is not None and check is not None:
        raise UsageError("--out and --check exclude each other")
    settings = settings_for_person(context)
    with progress("writing result objects to describe", total=None) as bar:
        from node import documents  # noqa: PLC0415 - torch takes seconds to load

        if config_of(context) is None:
            settings = documents.default_settings()
        make = documents.air_capabilities if air else documents.conformance_statement
        text = make(documents.Site.of(settings))
        bar.tell("done")
    if check is not None:
        _compare(check, text)
    elif out is None:
        typer.echo(text, nl=False)
    else:
        _write(out, text)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror})") from error


def _compare(path: Path, text: str) -> None:
    """Compare byte by byte, since the documents follow from the code alone."""
    if path.read_bytes() != text.encode():
        complain(f"{path} is not what this version writes: make it anew with --out {path}")
        raise typer.Exit(1)
    typer.echo(f"{path} is up to date")
