"""The content tree of a structured report as lines of text, and what stands in it."""

from collections.abc import Iterator

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import UID

INDENT = "  "
OUTLINED = "…"
SHOWN_TEXT = {"TrackingIdentifier"}
GRAPHICS = ("SCOORD", "SCOORD3D")


def code_of(item: Dataset) -> Code:
    """Read a coded term."""
    return Code(item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning)


def words(code: Code) -> str:
    """Write a term as the standard does: (value, scheme, "meaning")."""
    return f'({code.value}, {code.scheme_designator}, "{code.meaning}")'


def concept_of(item: Dataset) -> Code | None:
    """Concept name of a content item; those that are by reference to others have none."""
    names = item.get("ConceptNameCodeSequence")
    return code_of(names[0]) if names else None


def items_below(item: Dataset) -> Iterator[Dataset]:
    """Walk through a tree, its root left out."""
    for child in item.get("ContentSequence") or ():
        yield child
        yield from items_below(child)


def outline(item: Dataset, *, depth: int = 0) -> list[str]:
    """Write a tree, one line for each item; a line that was just written is not repeated."""
    lines = [f"{INDENT * depth}{_line(item)}"]
    for child in item.get("ContentSequence") or ():
        part = outline(child, depth=depth + 1)
        if lines[-len(part) :] != part:
            lines += part
    return lines


def _line(item: Dataset) -> str:
    concept = concept_of(item)
    parts = [
        str(item.get("RelationshipType") or "").lower(),
        str(item.ValueType),
        "" if concept is None else words(concept),
        _value(item),
    ]
    return " ".join(part for part in parts if part)


def _value(item: Dataset) -> str:
    """Say what the item holds, as far as it is the same in every report."""
    match item.ValueType:
        case "CODE":
            return f"= {words(code_of(item.ConceptCodeSequence[0]))}"
        case "NUM":
            unit = item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0]
            return f"in {words(code_of(unit))}"
        case "CONTAINER":
            templates = item.get("ContentTemplateSequence")
            return f"TID {templates[0].TemplateIdentifier}" if templates else ""
        case "IMAGE":
            return UID(item.ReferencedSOPSequence[0].ReferencedSOPClassUID).name
        case kind if kind in GRAPHICS:
            return str(item.GraphicType)
        case _:
            return ""
