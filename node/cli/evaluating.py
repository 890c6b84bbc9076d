"""``midline evaluate``: how good the model is on a data set whose truth is known."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from config.errors import UsageError
from node.cli.output import AsJson, progress, write_json
from node.cli.site import settings_for_person, with_analysis

SplitName = Literal["train", "validation", "test"]


def evaluate(
    context: typer.Context,
    dataset: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="Folder with a manifest.json.")
    ],
    *,
    out: Annotated[Path, typer.Option(help="Folder for the report; made if missing.")],
    split: Annotated[SplitName, typer.Option(help="Whom to measure on.")] = "test",
    weights: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="File of other weights.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.")] = None,
    precision: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"] | None,
        typer.Option(help="Number format."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many studies.")] = None,
    voxel_studies: Annotated[
        int, typer.Option(min=0, help="Studies whose voxels are sampled for calibration.")
    ] = 50,
    seed: Annotated[int, typer.Option(min=0, help="Of every draw.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Measure the model on a data set; write report.md, figures.json and pictures.

    A study that is finished is never computed again: interrupted, it goes on where it was. With
    --split validation, thresholds.json holds the thresholds that these studies call for.
    """
    settings = with_analysis(
        settings_for_person(context), device=device, precision=precision, weights=weights
    )
    with progress("loading the model", total=None, shown=not as_json) as bar:
        try:
            from node.cli import measuring  # noqa: PLC0415 - torch takes seconds to load
        except ModuleNotFoundError as error:
            raise UsageError(
                f"a report needs {error.name}, which is not installed: pip install 'midline[train]'"
            ) from error
        segmenter = measuring.load_segmenter(settings)
        bar.tell("reading the manifest")
        chosen = measuring.choose_studies(dataset, split, limit=limit)
    with progress("evaluating", total=len(chosen.studies), shown=not as_json) as bar:
        measured = measuring.measure(
            chosen,
            segmenter,
            out,
            num_with_voxels=voxel_studies,
            seed=seed,
            done=bar.step,
        )
    if as_json:
        write_json(measured.facts)
    else:
        measuring.write_summary(measured)
