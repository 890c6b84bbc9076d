"""``midline report``: what a report says to a machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.output import AsJson, write_facts, write_json, write_table

if TYPE_CHECKING:
    from node.results.read_report import ReadBack

app = typer.Typer(help="Turn reports back into what they say.")

NO_RESULT = "no result"
"""In place of an outcome, where the statements of a report are not those of any."""


@app.callback()
def report() -> None:
    """Keep the group a group, with one command too."""


@app.command()
def read(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="A report.")
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Read the coded items of a report: outcome, findings, numbers, and what it refers to.

    Whatever is missing, doubled or contradictory makes it one without result, never a negative one.
    """
    from node.results.read_report import read_report  # noqa: PLC0415 - torch takes seconds to load

    said = read_report(file)
    if as_json:
        write_json(facts_of(said))
    else:
        _write(said)


def facts_of(said: "ReadBack") -> dict[str, object]:
    """Put together what JSON holds of a report; None where it says nothing clear."""
    return {
        "conclusion": said.conclusion,
        "outcome": said.outcome,
        "form": said.form,
        "status": said.status,
        "presence": said.presence,
        "reason": said.reason,
        "subtypes": {
            subtype.name: {
                "presence": presence,
                "volume_ml": said.volumes_ml.get(subtype),
                "side": said.sides.get(subtype),
                "segment_number": said.segment_numbers.get(subtype),
            }
            for subtype, presence in said.subtypes.items()
        },
        "total_volume_ml": said.total_volume_ml,
        "midline_shift_mm": said.midline_shift_mm,
        "midline_shift_side": said.midline_shift_side,
        "case_score_percent": said.case_score_percent,
        "training_distance": said.training_distance,
        "training_limit": said.training_limit,
        "num_regions": said.num_regions,
        "model": {
            "name": said.model_name,
            "version": said.model_version,
            "device_uid": said.model_device_uid,
        },
        "segmentation_uid": said.segmentation_uid,
        "predecessor_uid": said.predecessor_uid,
        "disclaimer": said.disclaimer,
    }


def _write(said: "ReadBack") -> None:
    score, total_ml = said.case_score_percent, said.total_volume_ml
    write_facts(
        [
            ("Outcome", said.outcome or NO_RESULT),
            ("Conclusion", said.conclusion),
            ("Haemorrhage", said.presence),
            ("Reason", said.reason),
            ("Total volume", None if total_ml is None else f"{total_ml:.2f} ml"),
            ("Midline shift", _shift(said)),
            ("AI score", None if score is None else f"{score:.1f} % (not a probability)"),
            ("Model", " ".join(filter(None, [said.model_name, said.model_version])) or None),
            ("Segmentation", said.segmentation_uid),
            ("Replaces", said.predecessor_uid),
            ("Form", said.form),
            ("Note", said.disclaimer),
        ]
    )
    if said.subtypes:
        columns = ("Subtype", "Presence", ">Volume, ml", "Side", ">Segment")
        write_table("Subtypes", columns, _rows(said))


def _shift(said: "ReadBack") -> str | None:
    if said.midline_shift_mm is None:
        return None
    side = said.midline_shift_side
    return f"{said.midline_shift_mm:.1f} mm" + ("" if side is None else f" to the {side.lower()}")


def _rows(said: "ReadBack") -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for subtype, presence in said.subtypes.items():
        volume_ml = said.volumes_ml.get(subtype)
        volume = None if volume_ml is None else f"{volume_ml:.2f}"
        side, segment = said.sides.get(subtype), said.segment_numbers.get(subtype)
        rows.append((subtype.name, presence, volume, side, segment))
    return rows
