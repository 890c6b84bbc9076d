"""Looking for content items: nothing is guessed."""

import pytest
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from node.results import codes
from node.results.items import children, sole_number, sole_text, sole_value
from tests.unit.node.results.test_statement import coded, said


def under(*items: Dataset) -> Dataset:
    parent = Dataset()
    parent.ContentSequence = list(items)
    return parent


def number(value: str, unit: Code = codes.MILLILITRE) -> Dataset:
    item, measured = Dataset(), Dataset()
    item.ValueType, item.ConceptNameCodeSequence = "NUM", [coded(codes.VOLUME)]
    measured.NumericValue, measured.MeasurementUnitsCodeSequence = value, [coded(unit)]
    item.MeasuredValueSequence = [measured]
    return item


def text(value: str) -> Dataset:
    item = Dataset()
    item.ValueType, item.TextValue = "TEXT", value
    item.ConceptNameCodeSequence = [coded(codes.ALGORITHM_NAME)]
    return item


def test_children_are_chosen_by_type_and_name() -> None:
    parent = under(number("1"), text("a"), text("b"))
    assert len(children(parent)) == 3
    assert len(children(parent, "TEXT")) == 2
    assert len(children(parent, "TEXT", codes.VOLUME)) == 0
    assert children(Dataset()) == []


def test_a_number_needs_one_item_one_value_and_its_unit() -> None:
    parent = under(number("1.5"))
    assert sole_number([parent], codes.VOLUME, codes.MILLILITRE) == 1.5
    assert sole_number([parent], codes.VOLUME, codes.MILLIMETRE) is None
    assert sole_number([parent, parent], codes.VOLUME, codes.MILLILITRE) is None
    assert sole_number([], codes.VOLUME, codes.MILLILITRE) is None
    doubled = under(number("1.5"), number("1.5"))
    assert sole_number([doubled], codes.VOLUME, codes.MILLILITRE) is None


@pytest.mark.parametrize("value", ["-1", "-0.01"])
def test_no_number_of_ours_is_negative(value: str) -> None:
    assert sole_number([under(number(value))], codes.VOLUME, codes.MILLILITRE) is None


def test_a_value_is_known_and_given_once() -> None:
    item = said(codes.INTRACRANIAL_HEMORRHAGE, codes.PRESENT)
    known = {codes.PRESENT: "present"}
    assert sole_value([item], codes.INTRACRANIAL_HEMORRHAGE, known) == "present"
    assert sole_value([item, item], codes.INTRACRANIAL_HEMORRHAGE, known) is None
    assert sole_value([item], codes.INTRACRANIAL_HEMORRHAGE, {codes.ABSENT: "absent"}) is None


def test_a_text_is_given_once_and_not_empty() -> None:
    assert sole_text([text("a")], codes.ALGORITHM_NAME) == "a"
    assert sole_text([text("a"), text("a")], codes.ALGORITHM_NAME) is None
    assert sole_text([text("")], codes.ALGORITHM_NAME) is None
