"""Looking for content items in the tree of a report that may be damaged (PS3.3 C.17.3).

Nothing is guessed: what is missing, doubled, unknown or not a number is None.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from node.results import codes

Value = TypeVar("Value")


def children(
    parent: Dataset, value_type: str | None = None, name: Code | None = None
) -> list[Dataset]:
    """Content items under another one, of a value type and concept name if these are given."""
    return [
        item
        for item in parent.get("ContentSequence") or ()
        if value_type in (None, item.get("ValueType")) and (name is None or is_named(item, name))
    ]


def is_named(item: Dataset, name: Code) -> bool:
    """Tell whether the concept name of an item is a code."""
    names = item.get("ConceptNameCodeSequence")
    return bool(names) and codes.is_code(names[0], name)


def sole_value(items: Sequence[Dataset], name: Code, known: Mapping[Code, Value]) -> Value | None:
    """Read the value of the one CODE item of a name, if there is exactly one and it is known."""
    named = [item for item in items if is_named(item, name)]
    if len(named) != 1 or named[0].get("ValueType") != "CODE":
        return None
    values = named[0].get("ConceptCodeSequence") or []
    if len(values) != 1:
        return None
    return next((known[code] for code in known if codes.is_code(values[0], code)), None)


def sole_number(items: Sequence[Dataset], name: Code, unit: Code) -> float | None:
    """Read the number of a name below the one item, if there is exactly one of each.

    Returns
    -------
    float | None
        None too for a number in another unit, below zero or without end: none of ours is.
    """
    numbers = [n for item in items for n in children(item, "NUM", name)]
    if len(items) != 1 or len(numbers) != 1:
        return None
    (measured,) = numbers[0].MeasuredValueSequence
    if not codes.is_code(measured.MeasurementUnitsCodeSequence[0], unit):
        return None
    number = float(measured.NumericValue)
    return number if math.isfinite(number) and number >= 0 else None


def sole_text(items: Sequence[Dataset], name: Code) -> str | None:
    """Read the text or UID of the one item of a name, if there is exactly one that has some."""
    named = [item for item in items if is_named(item, name)]
    if len(named) != 1:
        return None
    return str(named[0].get("TextValue") or named[0].get("UID") or "") or None
