"""Terms are found wherever a module holds them, and none passes for confirmed that is not."""

from dataclasses import dataclass
from enum import Enum
from types import ModuleType

import pytest
from pydicom.sr.coding import Code

from node.documents.terms import Standing, coded_terms, meanings_in_dictionary, standing_of
from node.results import codes


def code(value: str) -> Code:
    return Code(value, "99TEST", f"Meaning {value}")


@dataclass(frozen=True)
class Holder:
    inner: Code
    several: tuple[Code, ...]


class Choice(Enum):
    ONE = code("in an enumeration")


HIDING_PLACES = {
    "a constant": code("1"),
    "a tuple": (code("2"), [code("2")]),
    "a set": frozenset((code("3"),)),
    "a value of a mapping": {"key": code("4")},
    "a key of a mapping": {code("5"): "why"},
    "a mapping of mappings": {"a": {"b": (code("6"),)}},
    "a dataclass": Holder(code("7"), (code("8"),)),
    "a dataclass within a mapping": {"a": Holder(code("9"), ())},
    "an enumeration": Choice,
}


@pytest.mark.parametrize("place", HIDING_PLACES)
def test_no_term_escapes(place: str) -> None:
    module = ModuleType("terms")
    module.HELD = HIDING_PLACES[place]  # type: ignore[attr-defined]
    module.OTHER = ("no term", 1, None, len)  # type: ignore[attr-defined]
    found = {term.code for term in coded_terms(module)}
    expected = {
        "a dataclass": {code("7"), code("8")},
        "an enumeration": {code("in an enumeration")},
    }
    assert found
    assert found == expected.get(place, found)
    assert all("HELD" in term.names[0] for term in coded_terms(module))


def test_a_term_is_listed_once_with_all_its_places() -> None:
    (term,) = (each for each in coded_terms() if each.code == codes.SUBDURAL_HEMORRHAGE)
    assert term.names[0] == "SUBDURAL_HEMORRHAGE"
    assert "SUBTYPES[SDH].finding" in term.names
    assert term.standing is Standing.UNVERIFIED


def test_one_value_with_two_meanings_is_two_terms() -> None:
    module = ModuleType("terms")
    module.ONE = Code("1", "99TEST", "One")  # type: ignore[attr-defined]
    module.OTHER = Code("1", "99TEST", "Other")  # type: ignore[attr-defined]
    assert len(coded_terms(module)) == 2


@pytest.mark.parametrize(
    ("term", "standing"),
    [
        (codes.BRAIN, Standing.DICTIONARY),
        (codes.MILLILITRE, Standing.ELSEWHERE),
        (codes.REASON, Standing.PRIVATE),
        (codes.CEREBRAL_HEMORRHAGE, Standing.UNVERIFIED),
        (Code("12738006", "SCT", "Liver"), Standing.UNKNOWN),
        (Code("no such number", "SCT", "Brain"), Standing.UNKNOWN),
        (Code("1", "NO_SCHEME", "Brain"), Standing.UNKNOWN),
    ],
)
def test_a_term_is_confirmed_by_value_and_meaning(term: Code, standing: Standing) -> None:
    assert standing_of(term) is standing


def test_the_dictionary_gives_all_meanings_of_a_value() -> None:
    assert {"brain", "intracranial hemorrhage"} <= (
        meanings_in_dictionary(codes.BRAIN) | meanings_in_dictionary(codes.INTRACRANIAL_HEMORRHAGE)
    )
