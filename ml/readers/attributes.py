"""Attributes of a data set as plain values: what is absent, empty or no such value is None.

Senders leave attributes out, leave them empty, or fill them with what their value representation
forbids. Readers ask here and decide for themselves what is needed.
"""

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag

LARGEST_NUMBER = 1e15
"""Numbers beyond are none that an image has, and would overflow where they are computed with."""


def value_of(header: Dataset, keyword: str) -> Any:
    """Value of an attribute as pydicom has it; None if it is absent."""
    tag = _tag_of(keyword)
    # by the name of an attribute, what is absent costs pydicom two exceptions
    return header[tag].value if tag in header else None


@functools.cache
def _tag_of(keyword: str) -> BaseTag:
    return Tag(keyword)


def text_of(header: Dataset, keyword: str) -> str:
    r"""Value of a string attribute without padding; values of a list are joined by ``\``."""
    value = value_of(header, keyword)
    if value is None or isinstance(value, Sequence):
        return ""
    if isinstance(value, MultiValue | list | tuple):
        return "\\".join(str(part).strip() for part in value)
    return str(value).strip().rstrip("\0")


def values_of(header: Dataset, keyword: str) -> tuple[str, ...]:
    """Values of a string attribute, without padding; none if it is absent or empty."""
    text = text_of(header, keyword)
    return tuple(text.split("\\")) if text else ()


def number_of(header: Dataset, keyword: str) -> float | None:
    """Value of a numeric attribute within `LARGEST_NUMBER`, the first of a list."""
    numbers = _numbers(value_of(header, keyword))
    return numbers[0] if numbers else None


def whole_of(header: Dataset, keyword: str) -> int | None:
    """Value of a numeric attribute that is a whole number."""
    number = number_of(header, keyword)
    return None if number is None or not number.is_integer() else int(number)


def vector_of(header: Dataset, keyword: str, length: int) -> NDArray[np.float64] | None:
    """Values of a numeric attribute that has exactly so many, all within `LARGEST_NUMBER`."""
    numbers = _numbers(value_of(header, keyword))
    if numbers is None or len(numbers) != length:
        return None
    return np.array(numbers, np.float64)


def items_of(header: Dataset, keyword: str) -> tuple[Dataset, ...]:
    """Items of a sequence attribute; none if it is absent."""
    value = value_of(header, keyword)
    return tuple(value) if isinstance(value, Sequence) else ()


def _numbers(value: object) -> list[float] | None:
    parts = value if isinstance(value, MultiValue | list | tuple) else [value]
    numbers = []
    for part in parts:
        try:
            number = float(str(part))
        except ValueError:
            return None
        if not abs(number) <= LARGEST_NUMBER:  # also what is no number
            return None
        numbers.append(number)
    return numbers
