"""``midline doctor``: what is wrong with this installation, and how it is mended."""

from pathlib import Path
from typing import Annotated

import typer

from config import log
from node.cli.configuring import write_document
from node.cli.output import AsJson, as_dict, progress, write_json, write_table
from node.cli.site import config_of


def doctor(
    context: typer.Context,
    *,
    as_json: AsJson = False,
    reference: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Write what may be found into a file, in Markdown."),
    ] = None,
) -> None:
    """Look at settings, database, disk, ports, model, certificates, peers and workers.

    Exit code 1 if something keeps the node from its work.
    """
    from node import doctor as examining  # noqa: PLC0415 - torch takes seconds to load

    if reference is not None:
        from node.documents.doctor import doctor_reference  # noqa: PLC0415

        write_document(reference, doctor_reference())
        return
    log.configure("ERROR")
    with progress("looking", total=None, shown=not as_json):
        found = list(examining.examine(config_of(context)))
    if as_json:
        write_json({"findings": [as_dict(each) for each in found]})
    else:
        rows = [(each.check, each.level, each.message, each.mend) for each in found]
        write_table("Findings", ("Check", "Level", "What", "Mend"), rows)
    if any(each.level is examining.Level.FAULT for each in found):
        raise typer.Exit(1)
