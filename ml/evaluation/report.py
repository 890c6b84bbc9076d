"""A report in a folder: Markdown to read, PNG to look at, JSON to compute with.

The same results give the same bytes; nothing in it is a date.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from config.errors import UsageError
from ml.evaluation.cases import CaseResult
from ml.evaluation.figures import (
    draw_agreement,
    draw_curves,
    draw_dice,
    draw_reliability,
    draw_strata,
    encode_png,
)
from ml.evaluation.markdown import DISCLAIMER, PICTURES, Provenance, render
from ml.evaluation.summary import Summary

REPORT, FIGURES = "report.md", "figures.json"


def write_report(
    folder: Path,
    results: Sequence[CaseResult],
    summary: Summary,
    provenance: Provenance,
    *,
    overlays: bytes | None = None,
) -> tuple[Path, ...]:
    """Write a report; what an earlier one left is replaced.

    Parameters
    ----------
    folder
        Made if missing.
    results
        Of the cases, for the pictures.
    summary
        Of the same cases.
    provenance
        What was measured on what.
    overlays
        PNG of examples, `ml.evaluation.overlays.draw_overlays`.

    Returns
    -------
    tuple of Path
        The files, the one to read first.

    Raises
    ------
    UsageError
        If the folder cannot be written.
    """
    pictures = draw(results, summary)
    if overlays is not None:
        pictures["overlays.png"] = overlays
    contents = {
        REPORT: render(summary, provenance, tuple(pictures)).encode(),
        FIGURES: (
            json.dumps(plain(summary, provenance), indent=1, allow_nan=False) + "\n"
        ).encode(),
        **pictures,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in PICTURES:
            (folder / name).unlink(missing_ok=True)
        for name, content in contents.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written ({error.strerror})") from error
    return tuple(folder / name for name in contents)


def draw(results: Sequence[CaseResult], summary: Summary) -> dict[str, bytes]:
    """Draw every picture for which there is something to show, as PNG by file name."""
    reliabilities = {"Score of cases": summary.score_reliability}
    if summary.voxel_reliability is not None:
        reliabilities["Doubtful voxels"] = summary.voxel_reliability
    pictures = {"reliability.png": draw_reliability(reliabilities)}
    if summary.num_with_bleed:
        groups = {"Volume of the bleed": summary.by_volume, "Between slices": summary.by_thickness}
        pictures["dice.png"] = draw_dice(results, summary.kinds)
        pictures["strata.png"] = draw_strata(groups)
    if summary.curves is not None:
        pictures["curves.png"] = draw_curves(summary.curves, summary.operating_points)
    if summary.agreements:
        pictures["agreement.png"] = draw_agreement(results, summary.agreements)
    return {name: encode_png(pictures[name]) for name in PICTURES if name in pictures}


def plain(summary: Summary, provenance: Provenance) -> dict[str, object]:
    """Turn all figures into what JSON can hold."""
    reliabilities = {
        "score": summary.score_reliability,
        "voxels": summary.voxel_reliability,
    }
    return {
        "disclaimer": DISCLAIMER,
        "provenance": asdict(provenance),
        "summary": asdict(summary),
        "calibration": {
            name: {"expected_error": each.expected_error, "brier": each.brier}
            for name, each in reliabilities.items()
            if each is not None
        },
    }
