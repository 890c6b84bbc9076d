"""A selection in plain values, for the administrator: which series, and why not the others."""

from node.selection.choice import Selection


def describe_selection(selection: Selection) -> dict[str, object]:
    """Say which series was chosen and why the others were not; no text from any header."""
    chosen = selection.chosen
    return {
        "chosen": None
        if chosen is None
        else {
            "series_instance_uid": chosen.series_instance_uid,
            "series_number": chosen.series_number,
            "num_images": len(chosen.files),
            "score": round(chosen.score, 1),
            "cautions": [caution.value for caution in chosen.warnings],
        },
        "rejected": [
            {
                "series_instance_uid": series.series_instance_uid,
                "series_number": series.series_number,
                "rejection": series.rejection.value,
                "sentence": series.rejection.sentence,
                "detail": series.detail,
            }
            for series in selection.rejected
        ],
        "reason": None if selection.reason is None else selection.reason.value,
    }
