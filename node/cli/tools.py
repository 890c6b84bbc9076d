"""Commands for trying and testing: analyse a folder, talk to a peer, make synthetic studies."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from config.errors import UsageError
from config.settings import Settings
from node.caller import caller_of
from node.cli.border import complain
from node.cli.output import (
    AsJson,
    progress,
    write_json,
    write_table,
)
from node.cli.sending import find_files, parse_peer, send_files
from node.cli.site import settings_for_person, with_analysis
from node.peers import Caller
from node.peers import echo as verify

Folder = Annotated[
    Path, typer.Argument(exists=True, readable=True, help="Folder with DICOM files.")
]
CallingAETitle = Annotated[
    str | None, typer.Option("--from", metavar="AET", help="Our AE title; default node.ae_title.")
]
OverTLS = Annotated[
    bool, typer.Option("--tls", help="The peer speaks TLS; our certificate is that of [tls].")
]
PrecisionName = Literal["auto", "float32", "bfloat16", "float16"]
PEER = "AET@HOST:PORT"


def segment(
    context: typer.Context,
    folder: Folder,
    *,
    out: Annotated[Path, typer.Option(help="Folder for the results; made if missing.")],
    model: Annotated[
        str | None, typer.Option(help="Model whose weights ship; default analysis.model.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.")] = None,
    precision: Annotated[PrecisionName | None, typer.Option(help="Number format.")] = None,
    weights: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="File of other weights.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Analyse the one study in a folder; write SEG, report, picture and findings.json.

    A study that cannot be analysed gets a report too; it says why.
    """
    if model is not None and weights is not None:
        raise UsageError("--model and --weights exclude each other: a file says what model it is")
    settings = settings_for_person(context)
    if model is not None:
        # who names a model means the weights that ship with it, whatever file the site uses
        shipped = settings.analysis.model_copy(update={"weights": None})
        settings = settings.model_copy(update={"analysis": shipped})
    settings = with_analysis(
        settings, model=model, device=device, precision=precision, weights=weights
    )
    files = tuple(file.path for file in find_files(folder))
    with progress("loading the model", total=None, shown=not as_json) as bar:
        from node.cli import segmenting  # noqa: PLC0415 - torch takes seconds to load

        segmented = segmenting.analyse_files(files, settings, tell=bar.tell)
        bar.tell("writing the results")
        paths = segmenting.write_into(out, segmented)
    if as_json:
        write_json(segmented.facts)
        return
    segmenting.write_summary(segmented, paths)


def send(
    context: typer.Context,
    folder: Folder,
    *,
    to: Annotated[str, typer.Option(metavar=PEER, help="Who gets the files.")],
    calling_ae_title: CallingAETitle = None,
    tls: OverTLS = False,
    associations: Annotated[
        int, typer.Option(min=1, max=64, help="Associations at the same time.")
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Send all DICOM files in a folder by C-STORE."""
    peer, settings = parse_peer(to, tls=tls), settings_for_person(context)
    files = find_files(folder)
    with progress(f"sending to {peer}", total=len(files), shown=not as_json) as bar:
        tally = send_files(
            files,
            peer,
            caller=_caller(settings, calling_ae_title),
            associations=associations,
            sent=bar.step,
        )
    if as_json:
        write_json({"answers": tally.answers, "num_stored": tally.num_stored})
    else:
        write_table(f"Sent to {peer}", ("Answer", ">Files"), sorted(tally.answers.items()))
    for problem in sorted(tally.problems):
        complain(problem)
    if tally.num_stored < len(files):
        raise typer.Exit(1)


def echo(
    context: typer.Context,
    peer: Annotated[str, typer.Argument(metavar=PEER, help="Whom to ask.")],
    *,
    calling_ae_title: CallingAETitle = None,
    tls: OverTLS = False,
    as_json: AsJson = False,
) -> None:
    """Ask a peer whether it is there, by C-ECHO."""
    called, settings = parse_peer(peer, tls=tls), settings_for_person(context)
    seconds = verify(called, caller=_caller(settings, calling_ae_title))
    if as_json:
        write_json({"peer": str(called), "milliseconds": round(1000 * seconds, 3)})
    else:
        typer.echo(f"{called} answered in {1000 * seconds:.1f} ms")


def _caller(settings: Settings, ae_title: str | None) -> Caller:
    """Call as this node, or under the title that a person chose."""
    caller = caller_of(settings)
    return caller if ae_title is None else replace(caller, ae_title=ae_title)


def synth(
    folder: Annotated[Path, typer.Argument(file_okay=False, help="Where the studies go.")],
    *,
    studies: Annotated[int, typer.Option(min=1, max=99, help="How many.")] = 5,
    subtypes: Annotated[
        str | None,
        typer.Option(
            metavar="IPH,IVH,…",
            help="What each of them has, or none; without it, one subtype after the other, "
            "then healthy heads.",
        ),
    ] = None,
    slices: Annotated[int, typer.Option(min=2, max=400, help="Slices of each.")] = 32,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other heads.")] = 2_000_001,
) -> None:
    """Make synthetic head CT studies with their true masks."""
    from ml.phantom import Scan  # noqa: PLC0415 - torch takes seconds to load
    from node.demo import studies as synthetic  # noqa: PLC0415

    wanted = None if subtypes is None else synthetic.parse_subtypes(subtypes)
    plan = synthetic.plan(studies, subtypes=wanted, seed=seed)
    folders = [folder / f"study{number:02d}" for number in range(1, studies + 1)]
    for taken in filter(Path.exists, folders):
        raise UsageError(f"{taken} exists already; choose another folder")
    made = []
    with progress("making studies", total=studies) as bar:
        for target, head in zip(folders, plan, strict=True):
            try:
                made.append(synthetic.write_study(target, head, scan=Scan(num_slices=slices)))
            except OSError as error:
                raise UsageError(f"{target} cannot be written ({error.strerror})") from error
            bar.step()
    write_table(
        f"Synthetic studies in {folder}",
        ("Study", "Haemorrhage", ">Images"),
        [(study.folder.name, study.truth_in_words, len(study.images)) for study in made],
    )


def demo(
    *,
    out: Annotated[Path, typer.Option(help="Folder of the demo.")] = Path("demo-output"),
    viewer: Annotated[
        bool, typer.Option("--viewer", help="With Orthanc and OHIF, until Ctrl-C; docs/viewer.md.")
    ] = False,
    ohif: Annotated[
        Path | None,
        typer.Option(envvar="MIDLINE_OHIF", help="Folder with OHIF's index.html, for --viewer."),
    ] = None,
    dicomweb: Annotated[
        Path | None,
        typer.Option(
            envvar="MIDLINE_DICOMWEB",
            help="Orthanc's DICOMweb plugin, if it is not where Debian has it.",
        ),
    ] = None,
) -> None:
    """Run the main job: a node, a small PACS, three synthetic studies, their reports."""
    from node.cli import demonstrating  # noqa: PLC0415 - torch takes seconds to load

    if viewer:
        demonstrating.show_in_viewer(out, ohif=ohif, dicomweb=dicomweb)
    else:
        demonstrating.show_on_page(out)
