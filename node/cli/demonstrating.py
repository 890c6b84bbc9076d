"""The demo at the terminal: on a page that stays, or in a viewer until Ctrl-C."""

import contextlib
import signal
import time
from pathlib import Path

import typer

from node import demo
from node.cli.border import complain
from node.cli.output import duration, progress, write_facts, write_table
from node.demo import Showing
from node.demo.viewer import find_tools

LOOK_SECONDS = 1.0


def show_on_page(folder: Path) -> None:
    """Run the demo; tell what came back, and where the page is."""
    with progress("starting", total=None) as bar:
        shown = demo.run(folder, tell=bar.tell)
    write_table(
        "What came back to the PACS",
        ("Study", "Made with", "Report", "Found", ">Image to report"),
        [
            (
                answer.study.head.title,
                answer.study.truth_in_words,
                answer.wording.word,
                answer.found_in_words,
                duration(answer.seconds),
            )
            for answer in shown.answers
        ],
    )
    write_facts([("Page", shown.page), ("Files", shown.folder)])
    for fault in shown.faults:
        complain(fault)
    if shown.faults:
        raise typer.Exit(1)


def show_in_viewer(folder: Path, *, ohif: Path | None, dicomweb: Path | None) -> None:
    """Run the demo with Orthanc and OHIF; tell where to look, and end everything at Ctrl-C."""
    tools = find_tools(ohif, dicomweb)
    # however we are ended, what we started is ended too
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with contextlib.ExitStack() as running:
        with progress("starting", total=None) as bar:
            showing = running.enter_context(demo.showing(folder, tools, tell=bar.tell))
        _tell_where(showing)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                showing.node.check()
                time.sleep(LOOK_SECONDS)


def _tell_where(showing: Showing) -> None:
    """Write an address on a line of its own, so that terminals can open it."""
    typer.echo("In the PACS now, with what the node made of them; not for diagnosis:")
    for study in showing.studies:
        typer.echo(f"\n{study.head.title} (made with: {study.truth_in_words})")
        typer.echo(showing.viewer.address(study.study_instance_uid))
    for fault in showing.faults:
        complain(fault)
    typer.echo(f"\nAll studies: {showing.viewer.url}")
    typer.echo(f"Send more:   midline send FOLDER --to {showing.node.peer}")
    typer.echo("End:         Ctrl-C")
