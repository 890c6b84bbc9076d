"""A tree of content items becomes lines that say what is the same in every report."""

import highdicom as hd
from highdicom.sr import CodeContentItem, ContainerContentItem, ContentSequence, NumContentItem
from pydicom.sr.coding import Code

from node.documents.trees import concept_of, items_below, outline, words
from node.results import codes

CONTAINS = hd.sr.RelationshipTypeValues.CONTAINS


def number(value: float) -> NumContentItem:
    return NumContentItem(codes.VOLUME, value, codes.MILLILITRE, relationship_type=CONTAINS)


def tree(*items: hd.sr.ContentItem) -> ContainerContentItem:
    root = ContainerContentItem(codes.IMAGING_MEASUREMENT_REPORT, template_id="1500")
    root.ContentSequence = ContentSequence(items)
    return root


def test_an_outline_has_codes_and_units_and_no_measured_value() -> None:
    stated = CodeContentItem(codes.INTRACRANIAL_HEMORRHAGE, codes.PRESENT, CONTAINS)
    assert outline(tree(stated, number(12.34))) == [
        'CONTAINER (126000, DCM, "Imaging Measurement Report") TID 1500',
        '  contains CODE (1386000, SCT, "Intracranial hemorrhage") = (52101004, SCT, "Present")',
        '  contains NUM (118565006, SCT, "Volume") in (ml, UCUM, "milliliter")',
    ]


def test_lines_that_repeat_are_written_once() -> None:
    assert len(outline(tree(number(1), number(2), number(3)))) == 2


def test_items_are_walked_through_without_their_root() -> None:
    inner = tree(number(1))
    inner.RelationshipType = CONTAINS.value
    assert [item.ValueType for item in items_below(tree(inner))] == ["CONTAINER", "NUM"]


def test_a_term_is_written_as_the_standard_does() -> None:
    assert words(Code("1", "99X", "One")) == '(1, 99X, "One")'
    assert concept_of(number(1)) == codes.VOLUME
