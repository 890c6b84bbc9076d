"""Every coded term of `node.results.codes`, found by looking, and how far it is confirmed."""

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from types import ModuleType
from typing import cast

from pydicom.sr._concepts_dict import concepts
from pydicom.sr.coding import Code

from node.results import codes

_DICTIONARY = cast("Mapping[str, Mapping[str, Mapping[str, tuple[str, list[int]]]]]", concepts)
"""Of each scheme, keywords; of each keyword, values with their meaning and context groups."""
_KIND = re.compile(r" \((?:attribute|body structure|disorder|finding|qualifier value)\)$")


class Standing(StrEnum):
    """How far a term is confirmed."""

    DICTIONARY = "in the DICOM dictionary"
    """pydicom's copy of the tables of PS3.16 has the value, with this meaning."""
    ELSEWHERE = "confirmed elsewhere"
    """Not in the dictionary, but in another public source, which is named."""
    PRIVATE = "private"
    """Of our own scheme, which the objects declare."""
    UNVERIFIED = "UNVERIFIED"
    """From public extracts; a terminologist has to confirm it."""
    UNKNOWN = "unknown"
    """None of these: a test fails."""


@dataclass(frozen=True)
class Term:
    """A coded term.

    Attributes
    ----------
    names
        Where it stands in the module.
    code
        The term.
    standing
        How far it is confirmed.
    """

    names: tuple[str, ...]
    code: Code
    standing: Standing


def coded_terms(module: ModuleType = codes) -> tuple[Term, ...]:
    """Find every term that a module holds, whatever holds it there; each once, as they stand."""
    found: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    known: dict[tuple[str, str, str], Code] = {}
    for name, value in vars(module).items():
        if not name.startswith("__"):
            for place, code in _codes_in(name, value):
                key = (code.value, code.scheme_designator, code.meaning)
                found[key].append(place)
                known[key] = code
    return tuple(Term(tuple(found[key]), code, standing_of(code)) for key, code in known.items())


def standing_of(code: Code) -> Standing:
    """Tell how far a term is confirmed."""
    if code.scheme_designator == codes.PRIVATE_SCHEME:
        return Standing.PRIVATE
    if code in codes.UNVERIFIED:
        return Standing.UNVERIFIED
    if code in codes.CONFIRMED_ELSEWHERE:
        return Standing.ELSEWHERE
    if code.meaning.lower() in meanings_in_dictionary(code):
        return Standing.DICTIONARY
    return Standing.UNKNOWN


def meanings_in_dictionary(code: Code) -> frozenset[str]:
    """Meanings that the dictionary gives a value, in lower case; none if it lacks the value.

    Those of SNOMED CT may end in the kind of the concept.
    """
    return frozenset(
        _KIND.sub("", meaning) if code.scheme_designator == "SCT" else meaning
        for entry in _DICTIONARY.get(code.scheme_designator, {}).values()
        for value, meaning in ((value, meaning.lower()) for value, (meaning, _) in entry.items())
        if value == code.value
    )


def _codes_in(place: str, value: object) -> Iterator[tuple[str, Code]]:
    """Walk through whatever may hold a term."""
    if isinstance(value, Code):
        yield place, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            name = getattr(key, "name", None) or getattr(key, "meaning", None) or key
            yield from _codes_in(place, key)
            yield from _codes_in(f"{place}[{name}]", inner)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _codes_in(f"{place}.{field.name}", getattr(value, field.name))
    elif isinstance(value, list | tuple | set | frozenset):
        for inner in value:
            yield from _codes_in(place, inner)
    elif isinstance(value, type) and issubclass(value, Enum):
        for member in value:
            yield from _codes_in(f"{place}.{member.name}", member.value)
