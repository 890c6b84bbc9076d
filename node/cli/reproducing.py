"""``midline reproduce`` and ``midline experiment``: the paper's tables, and our own question."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from node.cli.output import AsJson, duration, write_facts, write_json, write_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ml.reproduction.parts import Made

ScaleName = Literal["cpu", "paper"]
ExperimentName = Literal["symmetry"]
Out = Annotated[
    Path, typer.Option(file_okay=False, help="Folder of the run; what is finished there is kept.")
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PART",
        help="A part, or the beginning of its name; what it needs is made too. Repeatable.",
    ),
]
Cache = Annotated[
    Path | None, typer.Option(file_okay=False, help="Folder of synthetic heads; OUT/cache if none.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads, and processes that make heads.")]


def reproduce(
    *,
    scale: Annotated[ScaleName, typer.Option(help="cpu: two cores; paper: as published, GPU.")],
    out: Out,
    only: Only = None,
    cache: Cache = None,
    device: Device = "cpu",
    threads: Threads = 2,
    as_json: AsJson = False,
) -> None:
    """Make Tables 1 to 5 of the paper with our networks on synthetic heads.

    In parts: one that is finished is never made again. It may be stopped at any time, and goes on
    when it is called again.
    """
    from ml.reproduction import run  # noqa: PLC0415 - torch takes seconds to load

    setting = run.Setting(out, cache, device, threads, _tell)
    made, report = run.run_reproduction(scale, setting, only=only or ())
    if as_json:
        write_json({"report": report, "parts": _facts(made)})
        return
    _write_parts(made)
    write_facts([("Report", report)])


def experiment(
    name: Annotated[ExperimentName, typer.Argument(help="Which one.")],  # noqa: ARG001 - one
    *,
    out: Out,
    only: Only = None,
    cache: Cache = None,
    device: Device = "cpu",
    threads: Threads = 1,
    page: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Page whose generated part is replaced at the end."
        ),
    ] = None,
    so_far: Annotated[
        bool, typer.Option("--so-far", help="Make nothing; compare what is finished.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Ask by many small trainings whether symmetry helps when brightness is not enough.

    In parts: one that is finished is never made again. It may be stopped at any time, and goes on
    when it is called again.
    """
    from ml.reproduction import run  # noqa: PLC0415 - torch takes seconds to load
    from ml.reproduction.markdown import to_plain  # noqa: PLC0415

    setting = run.Setting(out, cache, device, threads, _tell)
    shown = run.run_symmetry(setting, only=only or (), page=page, so_far=so_far)
    if as_json:
        write_json({"found": to_plain(shown.found), "parts": _facts(shown.made)})
        return
    if shown.found is None:
        _write_parts(shown.made)
    for table in shown.tables:
        write_table(table.title, table.columns, table.rows)


def _tell(line: str) -> None:
    typer.echo(line, err=True)


def _facts(made: "Mapping[str, Made]") -> dict[str, dict[str, object]]:
    return {name: {"seconds": each.seconds, "digest": each.digest} for name, each in made.items()}


def _write_parts(made: "Mapping[str, Made]") -> None:
    rows = [(name, duration(each.seconds)) for name, each in made.items()]
    write_table("Finished parts", ("Part", ">Took"), rows)
