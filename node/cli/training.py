"""``midline train``: a network by a recipe, begun or gone on with."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from config import log
from config.errors import UsageError
from node.cli.output import AsJson, write_facts, write_json, write_table

if TYPE_CHECKING:
    from ml.checkpoint import ModelCard

PrecisionName = Literal["auto", "float32", "bfloat16", "float16"]


RecipeName = Annotated[
    str | None, typer.Argument(metavar="RECIPE", help="Its name; --list shows them.")
]
Out = Annotated[
    Path | None,
    typer.Option(file_okay=False, help="Folder of the training; if it has begun, it goes on."),
]
DataFolder = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        file_okay=False,
        help="Folder made by `midline data prepare`, instead of synthetic heads.",
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(file_okay=False, help="Folder of aligned patients; OUT/cache if none."),
]
Threads = Annotated[
    int, typer.Option(min=1, help="Threads of a process, and processes that make patients.")
]
BeginWith = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="Weights to begin with, not random ones."),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Change a setting of the recipe: num_steps=200, network_config.num_layers=0.",
    ),
]
TensorBoard = Annotated[
    bool, typer.Option("--tensorboard", help="Write events into OUT/tensorboard.")
]


def train(
    recipe: RecipeName = None,
    *,
    out: Out = None,
    data: DataFolder = None,
    cache: Cache = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "cpu",
    precision: Annotated[PrecisionName, typer.Option(help="Number format.")] = "auto",
    threads: Threads = 2,
    begin_with: BeginWith = None,
    changes: Changes = None,
    tensorboard: TensorBoard = False,
    model_version: Annotated[str, typer.Option(help="Version on the model's card.")] = "0.1.0",
    show_list: Annotated[bool, typer.Option("--list", help="Show the recipes.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train a network by a recipe; weights and card lie in OUT at the end.

    Killed at any moment, it goes on when it is called again, and gives what it would have given.
    Several processes share each step: torchrun --nproc-per-node 2 -m node.cli train …
    """
    if show_list:
        _list_recipes(as_json=as_json)
        return
    if recipe is None or out is None:
        raise UsageError("a training needs a RECIPE and --out; --list shows the recipes")
    # threads that wait must not take the cores from those that compute; torch reads it once
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from ml.training import run  # noqa: PLC0415 - torch takes seconds to load
    from ml.training.overrides import varied  # noqa: PLC0415
    from ml.training.recipes import recipe_named  # noqa: PLC0415

    chosen = varied(recipe_named(recipe), parse_changes(changes or ()))
    setting = run.Setting(
        out,
        device,
        precision=precision,
        threads=threads,
        cache=cache,
        data=data,
        begin_with=begin_with,
        tensorboard=tensorboard,
        model_version=model_version,
    )
    if not sys.stderr.isatty():
        log.configure("INFO")
    trained = run.train(chosen, setting)
    if trained is None:
        return
    _tell(trained.weights, trained.card, as_json=as_json)


def _tell(weights: Path, card: "ModelCard", *, as_json: bool) -> None:
    if as_json:
        write_json({"weights": weights, "metrics": card.metrics})
        return
    write_table(
        f"{card.name} {card.version}",
        ("Figure", ">Value"),
        [(name, f"{value:g}") for name, value in card.metrics.items()],
    )
    write_facts([("Weights", weights), ("Data", card.data)])


def parse_changes(changes: Iterable[str]) -> dict[str, str]:
    """Read ``NAME=VALUE``.

    Raises
    ------
    UsageError
        If there is no ``=``.
    """
    parsed = {}
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals:
            raise UsageError(f"--set {change}: write NAME=VALUE")
        parsed[name.strip()] = value.strip()
    return parsed


def _list_recipes(*, as_json: bool) -> None:
    from ml.training.recipes import RECIPES  # noqa: PLC0415 - torch takes seconds to load

    told = {name: (make.__doc__ or "").split("\n")[0] for name, make in RECIPES.items()}
    if as_json:
        write_json(told)
    else:
        write_table("Recipes", ("Recipe", "What it is"), list(told.items()))
