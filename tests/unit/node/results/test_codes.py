"""The table of coded terms against pydicom's copy of the DICOM dictionary."""

import ast
from pathlib import Path

import pytest
from pydicom.sr.coding import Code

from config.errors import Reason
from ml.findings import Side
from ml.volume import Subtype
from node.audit import codes as audit_codes
from node.documents.terms import Standing, coded_terms, meanings_in_dictionary
from node.results import codes

TERMS = coded_terms()
"""Every term of the module, wherever it stands there."""
NODE = Path(codes.__file__).parents[1]


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.names[0])
def test_a_term_is_in_the_dictionary_or_private_or_marked(term: object) -> None:
    standing = term.standing  # type: ignore[attr-defined]
    assert standing is not Standing.UNKNOWN, (
        "neither value and meaning are in the DICOM dictionary, nor is it private or UNVERIFIED"
    )


def written_in(path: Path) -> set[tuple[str, str]]:
    """Value and scheme of each ``Code("…", …)`` of a source file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Code" and node.args:
            value = node.args[0]
            if isinstance(value, ast.Constant):
                scheme = node.args[1]
                designator = scheme.value if isinstance(scheme, ast.Constant) else "private"
                found.add((str(value.value), str(designator)))
    return found


def test_no_term_of_the_source_escapes_the_table() -> None:
    private = codes.PRIVATE_SCHEME
    listed = {(t.code.value, t.code.scheme_designator.replace(private, "private")) for t in TERMS}
    assert written_in(Path(codes.__file__)) == listed


def test_terms_are_written_in_one_place_only() -> None:
    # those of the audit trail, which is another document, have a place of their own
    places = (Path(codes.__file__), Path(audit_codes.__file__))
    elsewhere = [path for path in NODE.rglob("*.py") if path not in places]
    assert not {str(path): written_in(path) for path in elsewhere if written_in(path)}


def test_terms_that_wait_for_a_terminologist_are_not_in_the_dictionary() -> None:
    for code in (*codes.UNVERIFIED, *codes.CONFIRMED_ELSEWHERE):
        assert not meanings_in_dictionary(code)


def test_a_term_has_one_meaning() -> None:
    named = [(term.code.value, term.code.scheme_designator) for term in TERMS]
    assert len(set(named)) == len(named)


def test_private_codes_fit_their_attribute() -> None:
    private = [term.code for term in TERMS if term.standing is Standing.PRIVATE]
    assert private
    assert all(len(code.value) <= 16 and len(code.meaning) <= 64 for code in private)


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


def test_a_private_term_is_never_taken_for_one_of_the_dictionary() -> None:
    assert not meanings_in_dictionary(Code("IVH", codes.PRIVATE_SCHEME, "anything"))
