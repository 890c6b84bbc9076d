"""The words and tables of a report, in Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from ml.checkpoint import ModelCard
from ml.evaluation.statistics import NUM_RESAMPLES, Interval, Proportion
from ml.evaluation.strata import Stratum
from ml.evaluation.summary import Summary

DISCLAIMER = "Research use only. Not for diagnosis."

PICTURES: Mapping[str, str] = {
    "dice.png": "Dice of each study (dots), quartiles (box), mean with its interval (diamond).",
    "curves.png": "ROC and precision-recall of the score, and the thresholds of the model.",
    "reliability.png": "What was claimed against what came true.",
    "agreement.png": "Claimed against true volume: bias and limits of agreement with intervals.",
    "strata.png": "By volume of the bleed and by distance between slices.",
    "overlays.png": "Examples from the worst to the best outline, and the most suspicious head "
    "without a bleed.",
}
"""What the pictures show, by file name, in the order of the report."""

_INTERVALS = (
    "Intervals are of 95 %: Wilson's for shares, Student's for biases and limits of agreement, "
    "else by {draws} bootstrap draws of patients (seed {seed})."
)
_DECISIONS = (
    "A case is NEGATIVE if its score is low, POSITIVE if it is high and a lesion is large enough; "
    'else it is BORDERLINE, and nothing is stated. "Any lesion voxel" looks at the raw mask.'
)
_OF_VOLUME = (
    "Claimed less true volume in ml, over the studies that have one of them. The error is the "
    "median of the absolute difference."
)
_OF_DICE = (
    "Dice is taken of each study over its whole volume, and averaged over the studies that have "
    'the kind in truth; studies without it are left out there and counted under "claimed where '
    'absent". Pooled Dice is of all voxels together.'
)


@dataclass(frozen=True)
class Provenance:
    """What was measured on what.

    Attributes
    ----------
    model
        Card of the model.
    data
        Name of the data set, for people.
    split
        Of the data set.
    data_digest
        Of its manifest.
    code_version
        Version of Midline that measured.
    device, precision
        On what, and in which number format.
    seed
        Of every bootstrap.
    left_out
        For each reason why studies are in no figure, how many.
    """

    model: ModelCard
    data: str
    split: str
    data_digest: str
    code_version: str
    device: str
    precision: str
    seed: int
    left_out: Mapping[str, int]


def render(summary: Summary, provenance: Provenance, pictures: Sequence[str]) -> str:
    """Write the report as Markdown.

    Parameters
    ----------
    summary, provenance
        What it says.
    pictures
        Names of the files that lie beside it.
    """
    sections = [
        *_head(summary, provenance),
        *_diagnosis(summary),
        *_dice(summary),
        *_score(summary),
        *_agreement(summary),
        *_strata(summary),
    ]
    sections += [f"![{Path(name).stem}]({name})\n\n{PICTURES[name]}" for name in pictures]
    return "\n\n".join(sections) + "\n"


def _head(summary: Summary, provenance: Provenance) -> list[str]:
    card, thresholds = provenance.model, provenance.model.thresholds
    least = ", ".join(f"{name} {value:g}" for name, value in thresholds.minimum_ml.items())
    left_out = ", ".join(f"{count} ({why})" for why, count in sorted(provenance.left_out.items()))
    return [
        f"# {card.name} {card.version} on {provenance.data}, {provenance.split}",
        f"**{DISCLAIMER}**",
        table(
            ("", ""),
            (
                ("Studies", f"{summary.num_studies} of {summary.num_patients} patients"),
                ("With a bleed", str(summary.num_with_bleed)),
                ("Unlike the training", f"{summary.num_unfamiliar}, PARTIAL in the node"),
                ("Left out", left_out or "none"),
                ("Data set", f"manifest {provenance.data_digest}"),
                ("Weights", f"SHA-256 {card.weights_sha256}"),
                ("Negative", f"below {thresholds.lower_score:g}"),
                ("Positive", f"from {thresholds.upper_score:g} on"),
                ("Least volumes", f"{least} ml"),
                ("Temperature", f"{card.temperature:g}"),
                (
                    "Midline",
                    f"{provenance.code_version} on {provenance.device}, {provenance.precision}",
                ),
                ("Time", f"{summary.median_seconds:.2f} s from a volume to its mask (median)"),
            ),
        ),
        _INTERVALS.format(draws=NUM_RESAMPLES, seed=provenance.seed),
    ]


def _diagnosis(summary: Summary) -> list[str]:
    return [
        "## Decision on the case",
        table(
            ("A case is right if it is", "Accuracy", "Sensitivity", "Specificity"),
            (
                (each.rule, *map(share, (each.accuracy, each.sensitivity, each.specificity)))
                for each in summary.diagnosis
            ),
        ),
        _DECISIONS,
        table(
            ("Decision", "With a bleed", "Without"),
            (
                (decision, str(with_bleed), str(without))
                for decision, (with_bleed, without) in summary.decisions.items()
            ),
        ),
    ]


def _dice(summary: Summary) -> list[str]:
    return [
        "## Outlines",
        _OF_DICE,
        table(
            ("Kind", "Studies", "Dice", "Pooled Dice", "Found", "Claimed where absent"),
            (
                (
                    each.kind,
                    str(each.num_present),
                    interval(each.dice),
                    interval(each.pooled_dice),
                    share(each.found),
                    share(each.falsely_claimed),
                )
                for each in summary.kinds
            ),
        ),
    ]


def _score(summary: Summary) -> list[str]:
    lines = ["## Score"]
    if summary.curves is not None:
        lines.append(
            f"AUC {interval(summary.curves.auc)}, average precision "
            f"{interval(summary.curves.average_precision)}."
        )
        lines.append(
            table(
                ("Threshold alone", "Sensitivity", "Specificity"),
                (
                    (f"{each.threshold:g}", share(each.sensitivity), share(each.specificity))
                    for each in summary.operating_points
                ),
            )
        )
    held = [("Score as probability of a bleed", summary.score_reliability)]
    if summary.voxel_reliability is not None:
        held.append(("Most probable class of a doubtful voxel", summary.voxel_reliability))
    lines.append(
        table(
            ("Calibration", "Number", "ECE", "Brier score"),
            (
                (name, str(each.total), number(each.expected_error), number(each.brier))
                for name, each in held
            ),
        )
    )
    return lines


def _agreement(summary: Summary) -> list[str]:
    if not summary.agreements:
        return []
    return [
        "## Volume",
        _OF_VOLUME,
        table(
            ("Kind", "Studies", "Bias", "Lower limit", "Upper limit", "Concordance", "Error"),
            (
                (
                    each.kind,
                    str(each.num_studies),
                    *(
                        interval(limit, digits=1)
                        for limit in (each.bias_ml, each.lower_limit_ml, each.upper_limit_ml)
                    ),
                    interval(each.concordance),
                    f"{each.median_error_ml:.2f}",
                )
                for each in summary.agreements
            ),
        ),
    ]


def _strata(summary: Summary) -> list[str]:
    def row(each: Stratum) -> tuple[str, ...]:
        return (
            each.name,
            f"{each.num_studies} ({each.num_with_bleed})",
            interval(each.dice),
            share(each.not_missed),
            share(each.cleared),
        )

    columns = ("Studies (with a bleed)", "Dice", "Not called NEGATIVE", "Called NEGATIVE")
    return [
        "## By what makes a case hard",
        table(("Volume of the bleed", *columns), map(row, summary.by_volume)),
        table(("Between slices", *columns), map(row, summary.by_thickness)),
    ]


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def share(held: Proportion) -> str:
    """Write a share in percent with its interval and its numbers; a dash for a share of none."""
    if held.interval is None:
        return "-"
    estimate, low, high = (100 * value for value in astuple(held.interval))
    return f"{estimate:.1f} % ({low:.1f} to {high:.1f}), {held.count} of {held.total}"


def interval(held: Interval | None, *, digits: int = 3) -> str:
    """Write an estimate with its interval; a dash if there is none."""
    if held is None:
        return "-"
    estimate, low, high = (f"{value:.{digits}f}" for value in astuple(held))
    return f"{estimate} ({low} to {high})"


def number(value: float | None) -> str:
    """Write a small number; a dash if there is none."""
    return "-" if value is None else f"{value:.4f}"
