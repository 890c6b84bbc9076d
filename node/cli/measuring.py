"""A model on a data set: studies whose truth is known in, a report out."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from config.errors import UnreadableInputError, UsageError
from config.settings import Settings
from ml.data.manifest import Entry, Manifest, file_sha256, read_manifest
from ml.data.splits import Split
from ml.data.studies import LabelKind, Truth, read_study
from ml.evaluation.cases import ANY, CaseResult
from ml.evaluation.figures import encode_png
from ml.evaluation.markdown import DISCLAIMER, Provenance, interval, share
from ml.evaluation.overlays import (
    OverlayRow,
    choose_examples,
    draw_overlays,
    overlay_row,
    telling_slice,
)
from ml.evaluation.report import plain, write_report
from ml.evaluation.run import JOURNAL, StudyWithTruth, code_version, evaluate
from ml.evaluation.summary import Summary, summarise
from ml.evaluation.thresholds import choose_thresholds
from ml.inference import Segmenter
from ml.postprocess import clean
from ml.volume import Grid, Mask, Subtype, Volume
from node import roles
from node.cli.output import write_facts, write_table

THRESHOLDS = "thresholds.json"


@dataclass(frozen=True, eq=False)
class Chosen:
    """Studies of a data set that can be measured on.

    Attributes
    ----------
    name
        Of the data set, for people.
    manifest
        Of the whole set.
    split
        What was asked for.
    studies
        Those whose truth is known.
    left_out
        For each reason why others are not among them, how many.
    """

    name: str
    manifest: Manifest
    split: Split
    studies: tuple[StudyWithTruth, ...]
    left_out: dict[str, int]


@dataclass(frozen=True, eq=False)
class Measured:
    """What came out.

    Attributes
    ----------
    summary
        Every figure.
    facts
        The same as JSON can hold it.
    paths
        The files of the report.
    """

    summary: Summary
    facts: dict[str, object]
    paths: tuple[Path, ...]


def load_segmenter(settings: Settings) -> Segmenter:
    """Load the network that the settings name."""
    return roles.load_segmenter(settings)


def choose_studies(folder: Path, split: str, *, limit: int | None) -> Chosen:
    """Choose the studies of a split whose truth is known voxel by voxel.

    Parameters
    ----------
    folder
        Of the data set.
    split
        train, validation or test.
    limit
        At most so many, the first by name.

    Raises
    ------
    UsageError
        If the folder holds no data set, or the split no such study.
    UnreadableInputError
        If the manifest is damaged.
    """
    manifest = read_manifest(folder)
    entries = manifest.of(Split(split))
    usable = [entry for entry in entries if entry.has_mask or entry.bleeds is False]
    if not usable:
        raise UsageError(
            f"{folder}: no study of the split {split!r} has a mask or is known to be without a "
            f"bleed; the split has {len(entries)} studies"
        )
    taken = usable[:limit]
    counts = Counter(
        {
            "no mask": len(entries) - len(usable),
            "beyond the limit": len(usable) - len(taken),
        }
    )
    return Chosen(
        name=f"{folder.resolve().name} ({manifest.layout})",
        manifest=manifest,
        split=Split(split),
        studies=tuple(_study(folder, entry) for entry in taken),
        left_out=dict(+counts),
    )


def _study(folder: Path, entry: Entry) -> StudyWithTruth:
    path = folder / entry.file

    def read() -> tuple[Volume, Mask]:
        if not path.is_file() or file_sha256(path) != entry.sha256:
            raise UnreadableInputError(f"{path} is missing, or is not the file of the manifest")
        held = read_study(path)
        return held.volume, _mask(held.truth, held.volume.grid)

    return StudyWithTruth(
        study_id=entry.study_id,
        patient_id=entry.patient_id,
        read=read,
        knows_subtypes=entry.labels is not LabelKind.BINARY or entry.bleeds is False,
    )


def _mask(truth: Truth, grid: Grid) -> Mask:
    """Label map of what is known; of a bleed without subtypes any label stands for all."""
    if truth.mask is not None:
        return truth.mask
    labels = np.zeros(grid.shape, np.uint8)
    if truth.bleed is not None:
        labels[truth.bleed] = min(Subtype)
    return Mask(labels, grid)


def measure(
    chosen: Chosen,
    segmenter: Segmenter,
    out: Path,
    *,
    num_with_voxels: int,
    seed: int,
    done: Callable[[], None],
) -> Measured:
    """Measure a model, and write the report.

    Parameters
    ----------
    chosen
        Whom to measure on.
    segmenter
        The model.
    out
        Folder for the report and the journal.
    num_with_voxels, seed, done
        As in `ml.evaluation.run.evaluate` and `ml.evaluation.summary.summarise`.

    Raises
    ------
    UsageError
        If the folder cannot be used, or if no study could be analysed.
    """
    found = evaluate(
        chosen.studies,
        segmenter,
        out / JOURNAL,
        data_digest=chosen.manifest.digest,
        num_with_voxels=num_with_voxels,
        seed=seed,
        done=done,
    )
    if not found.results:
        raise UsageError(f"none of {len(chosen.studies)} studies passes the checks of a head")
    summary = summarise(found.results, segmenter.card.thresholds, seed=seed, voxels=found.voxels)
    declined = Counter(f"declined: {why}" for why in found.declined.values())
    provenance = Provenance(
        model=segmenter.card,
        data=chosen.name,
        split=chosen.split.value,
        data_digest=chosen.manifest.digest,
        code_version=code_version(),
        device=segmenter.device,
        precision=segmenter.precision.value,
        seed=seed,
        left_out={**chosen.left_out, **declined},
    )
    overlays = draw_examples(found.results, chosen.studies, segmenter)
    paths = write_report(out, found.results, summary, provenance, overlays=overlays)
    if chosen.split is Split.VALIDATION:
        thresholds = json.dumps(asdict(choose_thresholds(found.results)), indent=2) + "\n"
        (out / THRESHOLDS).write_text(thresholds, encoding="ascii")
        paths = (*paths, out / THRESHOLDS)
    return Measured(summary, plain(summary, provenance), paths)


def draw_examples(
    results: Sequence[CaseResult], studies: Sequence[StudyWithTruth], segmenter: Segmenter
) -> bytes:
    """Segment a few studies once more, and draw what is reported beside the truth; PNG."""
    by_id = {study.study_id: study for study in studies}
    rows = [
        _example(result, by_id[result.study_id], segmenter) for result in choose_examples(results)
    ]
    return encode_png(draw_overlays(rows))


def _example(result: CaseResult, study: StudyWithTruth, segmenter: Segmenter) -> OverlayRow:
    volume, truth = study.read()
    thresholds = segmenter.card.thresholds
    minimum_ml = {subtype: thresholds.minimum_of(subtype) for subtype in Subtype}
    said = clean(segmenter.segment(volume).mask, minimum_ml=minimum_ml)
    dice = result.of[ANY].dice
    title = f"no bleed, score {result.score:.3f}" if dice is None else f"Dice {dice:.2f}"
    blood = truth if dice is not None else said
    return overlay_row(
        title, volume, truth, {segmenter.card.name: said}, index=telling_slice(blood)
    )


def write_summary(measured: Measured) -> None:
    """Say on the terminal what was found, and where the report is."""
    summary = measured.summary
    write_table(
        f"{summary.num_studies} studies, {summary.num_with_bleed} with a bleed",
        ("A case is right if it is", "Accuracy", "Sensitivity", "Specificity"),
        [
            (each.rule, *map(share, (each.accuracy, each.sensitivity, each.specificity)))
            for each in summary.diagnosis
        ],
    )
    write_table(
        "Dice of studies that have it",
        ("Kind", ">Studies", "Dice"),
        [(each.kind, each.num_present, interval(each.dice)) for each in summary.kinds],
    )
    write_facts([("Report", measured.paths[0]), ("", DISCLAIMER)])
