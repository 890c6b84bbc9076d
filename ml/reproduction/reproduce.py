"""The reproduction as parts: data, trainings, assessments, tables, figures, report."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ml.evaluation.curves import curves
from ml.evaluation.thresholds import choose_thresholds
from ml.inference import Prediction
from ml.preprocess import resample_labels
from ml.reproduction import tables
from ml.reproduction.code import code_digest
from ml.reproduction.heads import GetHeads, Heads, data_part, heads_as_before, plain
from ml.reproduction.markdown import Table, to_plain
from ml.reproduction.measuring import (
    CODE_OF_MEASURING,
    code_of_training,
    measure,
    read_model,
    read_results,
    train_into,
    write_results,
)
from ml.reproduction.parts import Before, Json, Made, Part, write_json
from ml.reproduction.pictures import (
    choose_shown,
    draw_roc,
    draw_rows,
    picture_row,
    small_png,
)
from ml.reproduction.report import write_report
from ml.reproduction.scales import ABLATION, COMPARED, NETWORKS, TITLES, Scale, paper
from ml.training.datasets import Case
from ml.training.finishing import draft_segmenter
from ml.volume import Subtype

# Axes: Z slice, S row and column of the aligned image

_CODE_OF_TABLES = (
    "evaluation/cases.py",
    "evaluation/curves.py",
    "evaluation/statistics.py",
    "reproduction/markdown.py",
    "reproduction/paper.py",
    "reproduction/scales.py",
    "reproduction/tables.py",
)
_CODE_OF_FIGURES = (
    "evaluation/curves.py",
    "evaluation/figures.py",
    "evaluation/overlays.py",
    "reproduction/pictures.py",
)
_CODE_OF_REPORT = (
    "reproduction/markdown.py",
    "reproduction/paper.py",
    "reproduction/report.py",
    "reproduction/scales.py",
)
TABLES: Mapping[str, Callable[[tables.Networks, int], tuple[Table, ...]]] = {
    "tables/1": tables.table_1,
    "tables/2": tables.table_2,
    "tables/3": tables.table_3,
    "tables/4": tables.table_4,
    "tables/5": tables.table_5,
}
FIGURES: Mapping[str, tuple[str, ...]] = {"figures/6": COMPARED, "figures/7": ABLATION}
"""Overlays: the networks that each shows."""
ROC = "figures/roc"


def reproduction(scale: Scale, get: GetHeads, *, device: torch.device) -> list[Part]:
    """List the parts of a reproduction, each after what it needs.

    Parameters
    ----------
    scale
        How large it is.
    get
        Gives the patients.
    device
        Where networks are trained and measured.
    """
    assessed = tuple(f"assess/{network}" for network in NETWORKS)
    parts = [data_part("data", scale.phantoms, scale.input, get)]
    parts += [_train(scale, network, get, device) for network in NETWORKS]
    parts += [_assess(scale, network, get, device) for network in NETWORKS]
    parts += [_table(scale, name, assessed) for name in TABLES]
    parts.append(_roc(scale, assessed))
    parts += [_overlays(scale, name, get) for name in FIGURES]
    everything = tuple(part.name for part in parts)

    def write(folder: Path, before: Before) -> Json:
        return write_report(folder, scale, before)

    settings = {"scale": plain(scale)}
    report = Part("report", settings, code_digest(_CODE_OF_REPORT), write, everything)
    return [*parts, report]


def _train(scale: Scale, network: str, get: GetHeads, device: torch.device) -> Part:
    recipe = scale.recipe_for(network)

    def make(folder: Path, before: Before) -> Json:
        train_into(folder, recipe, _heads(scale, get, before), device)
        return {}

    code = code_of_training(network, recipe.network_config)
    return Part(f"train/{network}", plain(recipe), code, make, ("data",))


def _assess(scale: Scale, network: str, get: GetHeads, device: torch.device) -> Part:
    recipe = scale.recipe_for(network)
    trained = f"train/{network}"

    def make(folder: Path, before: Before) -> Json:
        heads = _heads(scale, get, before)
        segmenter = draft_segmenter(read_model(before[trained].folder, recipe), recipe, device)
        validated = measure(segmenter, heads.splits.validation, heads)
        # chosen here, on validation; the test patients have not been looked at yet
        thresholds = choose_thresholds(validated)
        pictured = _Pictured(heads)
        tested = measure(
            segmenter,
            heads.splits.test,
            heads,
            minimum_ml={subtype: thresholds.minimum_of(subtype) for subtype in Subtype},
            look=pictured.look,
        )
        write_results(folder / "validation.json", validated)
        write_results(folder / "test.json", tested)
        pictured.write(folder / "pictured.npz")
        return {
            "thresholds": plain(thresholds),
            "called_from": tables.threshold_of(validated),
        }

    code = code_digest(
        (*CODE_OF_MEASURING, "evaluation/thresholds.py", "reproduction/measuring.py")
    )
    return Part(f"assess/{network}", {"network": network}, code, make, ("data", trained))


class _Pictured:
    """Keeps what a network says of the patients that pictures show."""

    def __init__(self, heads: Heads) -> None:
        self._seeds = {shown.seed for shown in choose_shown(heads)}
        self._labels: dict[str, NDArray[np.uint8]] = {}

    def look(self, case: Case, prediction: Prediction) -> None:
        """Keep the mask on the aligned grid, where pictures are upright."""
        if case.seed in self._seeds:
            said = resample_labels(prediction.mask, case.alignment, case.spec)
            self._labels[str(case.seed)] = said

    def write(self, path: Path) -> None:
        """Write them as one file without pickled objects."""
        with path.open("wb") as file:
            # the stubs take the keywords for those of the function
            np.savez_compressed(file, **self._labels)  # type: ignore[arg-type]


def _table(scale: Scale, name: str, assessed: tuple[str, ...]) -> Part:
    def make(folder: Path, before: Before) -> Json:
        made = TABLES[name](measured_networks(scale, before), scale.seed)
        write_json(folder / "tables.json", [to_plain(table) for table in made])
        return {"titles": [table.title for table in made]}

    settings = {"seed": scale.seed, "configs": plain(scale.configs)}
    return Part(name, settings, code_digest(_CODE_OF_TABLES), make, assessed)


def measured_networks(scale: Scale, before: Mapping[str, Made]) -> dict[str, tables.Measured]:
    """Gather what was measured of each network."""
    published = paper()
    return {
        network: tables.Measured(
            tested=read_results(before[f"assess/{network}"].read("test.json")),
            threshold=float(before[f"assess/{network}"].result["called_from"]),
            config=scale.recipe_for(network).network_config,
            published_config=published.recipe_for(network).network_config,
        )
        for network in NETWORKS
    }


def _roc(scale: Scale, assessed: tuple[str, ...]) -> Part:
    def make(folder: Path, before: Before) -> Json:
        found = {}
        for network, measured in measured_networks(scale, before).items():
            found[TITLES[network]] = curves(
                [result.score for result in measured.tested],
                [result.has_bleed for result in measured.tested],
                [result.patient_id for result in measured.tested],
                seed=scale.seed,
            )
        return _written(folder, ROC, draw_roc(found))

    return Part(ROC, {"seed": scale.seed}, code_digest(_CODE_OF_FIGURES), make, assessed)


def _overlays(scale: Scale, name: str, get: GetHeads) -> Part:
    networks = FIGURES[name]

    def make(folder: Path, before: Before) -> Json:
        heads = _heads(scale, get, before)
        cases = {case.seed: case for case in heads.splits.test}
        rows = []
        for shown in choose_shown(heads):
            said = {
                TITLES[network]: _pictured(before[f"assess/{network}"].folder, shown.seed)
                for network in networks
            }
            rows.append(picture_row(shown, cases[shown.seed], said))
        return _written(folder, name, draw_rows(rows))

    needs = ("data", *(f"assess/{network}" for network in networks))
    return Part(name, {}, code_digest(_CODE_OF_FIGURES), make, needs)


def picture_name(part: str) -> str:
    """File name of the picture that a part makes."""
    return part.replace("figures/", "figure_") + ".png"


def _written(folder: Path, part: str, figure: Figure) -> Json:
    (folder / picture_name(part)).write_bytes(small_png(figure))
    return {"picture": picture_name(part)}


def _pictured(folder: Path, seed: int) -> NDArray[np.uint8]:
    with np.load(folder / "pictured.npz", allow_pickle=False) as held:
        labels: NDArray[np.uint8] = held[str(seed)]
    return labels


def _heads(scale: Scale, get: GetHeads, before: Before) -> Heads:
    return heads_as_before(get(scale.phantoms, scale.input), before["data"].result, "data")
