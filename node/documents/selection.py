"""Parts of the documents on input: which series is analysed, and when nothing is concluded."""

from dataclasses import fields

from ml import quality
from ml.readers.pixels import LARGEST_PIXEL_DATA_BYTES, MOST_ROWS_OR_COLUMNS
from node.documents.markdown import bullets, code, table
from node.documents.sentences import of_attributes, of_members
from node.documents.trees import words
from node.pipeline import LOSSY, SHORTFALLS, UNFAMILIAR
from node.results import codes
from node.selection import Caution, Criteria, Rejection
from node.selection.choice import PENALTIES
from node.selection.gates import OWN_MANUFACTURER, PROCESSED, SUMMARIES
from node.selection.text import HEAD_STEMS, HEAD_WORDS, OTHER_STEMS, OTHER_WORDS


def criteria() -> str:
    """Table of what a series must be like."""
    told, usual = of_attributes(Criteria), Criteria()
    rows = [
        (code(field.name), _plain(getattr(usual, field.name)), told[field.name])
        for field in fields(Criteria)
    ]
    return table(("Criterion", "Value", "Meaning"), rows)


def rejections() -> str:
    """Table of why a series is not analysed, in the order of the gates."""
    rows = [
        (code(each.value), each.sentence, words(codes.REASONS[each.reason])) for each in Rejection
    ]
    return table(("Gate", "Why", "Reason in the report, if no series qualifies"), rows)


def cautions() -> str:
    """Table of what is known about a series that is analysed nevertheless."""
    told = of_members(Caution)
    rows = [
        (
            code(each.value),
            told[each.name],
            PENALTIES.get(each, 0),
            "yes" if each in SHORTFALLS or each is Caution.LOSSY else "no",
        )
        for each in Caution
    ]
    return table(("Caution", "What it means", "Off the score", "At most PARTIAL"), rows)


def words_searched() -> str:
    """List the words that descriptions are searched for."""
    return bullets(
        f"Stems that name a head: {', '.join(HEAD_STEMS)}; words: {', '.join(HEAD_WORDS)}.",
        f"Stems that name another examination: {', '.join(OTHER_STEMS)}; words: "
        f"{', '.join(OTHER_WORDS)}.",
        f"Values of Image Type that name a computed series: {', '.join(sorted(PROCESSED))}; "
        f"a summary: {', '.join(sorted(SUMMARIES))}.",
        f"A series that is no CT of a manufacturer whose name begins with {OWN_MANUFACTURER} "
        "is taken for a result of a node like this one.",
    )


def limits() -> str:
    """List the limits within which pixels are decoded."""
    return bullets(
        f"Pixel Data of at most {LARGEST_PIXEL_DATA_BYTES >> 30} GiB, at most "
        f"{MOST_ROWS_OR_COLUMNS} rows and columns, one sample a pixel, 8 or 16 bits "
        "allocated.",
        "MONOCHROME2 in Hounsfield units.",
    )


def voxel_checks() -> str:
    """List what is asked of the voxels of a chosen series."""
    (low, high), (least, most) = quality.BRAIN_HU, quality.BRAIN_ML
    faint, bright = quality.ENHANCED_HU
    return bullets(
        f"Air (below {quality.AIR_HU:g} HU) fills at least {quality.LEAST_AIR:.1%} of the volume.",
        f"Bone surrounds {least:g} to {most:g} ml of {low:g} to {high:g} HU.",
        f"The uppermost slice shows at most {quality.LARGEST_TOP:.0%}, the lowest at most "
        f"{quality.LARGEST_BOTTOM:.0%} of the largest cross-section of the brain.",
        f"At most {quality.LARGEST_ENHANCED_ML:g} ml within the brain, away from bone, have "
        f"{faint:g} to {bright:g} HU.",
    )


def shortfalls() -> str:
    """List what makes a result partial."""
    return bullets(
        *SHORTFALLS.values(), LOSSY, f"{UNFAMILIAR} (distance above the limit of the model)."
    )


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " to ".join(map(str, value)) if isinstance(value, tuple) else str(value)
