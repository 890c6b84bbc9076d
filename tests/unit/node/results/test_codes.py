"""The table of coded terms against pydicom's copy of the DICOM dictionary."""

from collections.abc import Iterator, Mapping

import pytest
from pydicom.sr._concepts_dict import concepts
from pydicom.sr.coding import Code

from config.errors import Reason
from ml.findings import Side
from ml.volume import Subtype
from node.results import codes

NOT_IN_DICTIONARY = {
    *((code.value, code.scheme_designator) for code in codes.UNVERIFIED),
    ("ml", "UCUM"),  # valid UCUM all the same
    ("C0034375", "UMLS"),  # stands in TID 1500 itself
}


def all_codes() -> Iterator[tuple[str, Code]]:
    for name, value in vars(codes).items():
        if isinstance(value, Code):
            yield name, value
        elif isinstance(value, Mapping):
            yield from ((f"{name}[{k}]", v) for k, v in value.items() if isinstance(v, Code))


PUBLIC = [
    pytest.param(code, id=name)
    for name, code in all_codes()
    if code.scheme_designator != codes.PRIVATE_SCHEME
    and (code.value, code.scheme_designator) not in NOT_IN_DICTIONARY
]


def meanings_of(code: Code) -> set[str]:
    """Meanings of a code in the dictionary; SNOMED CT's may end in the kind of the concept."""
    terms = concepts[code.scheme_designator]
    return {
        meaning.lower().removesuffix(" (disorder)")
        for entry in terms.values()
        for value, (meaning, _) in entry.items()
        if value == code.value
    }


@pytest.mark.parametrize("code", PUBLIC)
def test_the_dictionary_has_the_term_with_this_meaning(code: Code) -> None:
    assert code.meaning.lower() in meanings_of(code)


def test_terms_that_wait_for_a_terminologist_are_not_in_the_dictionary() -> None:
    assert all(not meanings_of(code) for code in codes.UNVERIFIED)


def test_private_codes_fit_their_attribute_and_are_told_apart() -> None:
    private = [c for _, c in all_codes() if c.scheme_designator == codes.PRIVATE_SCHEME]
    assert len({c.value for c in private}) == len(private) == 9
    assert all(len(c.value) <= 16 and len(c.meaning) <= 64 for c in private)


def test_every_reason_side_and_subtype_has_its_own_term() -> None:
    assert set(codes.REASONS) == set(Reason)
    assert set(codes.SIDES) == set(Side)
    assert set(codes.SUBTYPES) == set(Subtype)
    for distinct in (
        [code.value for code in codes.REASONS.values()],
        [terms.item.value for terms in codes.SUBTYPES.values()],
        [terms.rgb for terms in codes.SUBTYPES.values()],
    ):
        assert len(set(distinct)) == len(distinct)


def test_a_subtype_is_labelled_by_the_name_that_its_value_has() -> None:
    assert all(terms.label == subtype.name for subtype, terms in codes.SUBTYPES.items())
