"""What the source says about a member is found, and nothing else is taken for it."""

from dataclasses import dataclass, fields
from enum import StrEnum

from config.errors import Reason
from node.documents.sentences import of_attributes, of_members
from node.results.forms import Forms
from node.results.outcomes import Outcome
from node.selection import Caution, Criteria
from node.status import StoreStatus


class Fruit(StrEnum):
    """A fruit."""

    APPLE = "APPLE"
    """Grows on a
    tree."""
    PEAR = "PEAR"
    MELON = "MELON"
    """Lies on the ground."""


@dataclass(frozen=True)
class Basket:
    """A basket.

    Attributes
    ----------
    apples, pears
        How many,
        of each.
    handle
        Whether it has one.
    """

    apples: int
    pears: int
    handle: bool


def test_a_sentence_belongs_to_the_member_above_it() -> None:
    assert of_members(Fruit) == {"APPLE": "Grows on a tree.", "MELON": "Lies on the ground."}


def test_attributes_may_share_a_sentence() -> None:
    assert of_attributes(Basket) == {
        "apples": "How many, of each.",
        "pears": "How many, of each.",
        "handle": "Whether it has one.",
    }


def test_a_class_without_the_section_says_nothing() -> None:
    assert of_attributes(Fruit) == {}


def test_every_member_that_a_document_tells_of_has_a_sentence() -> None:
    for kind in (Caution, Outcome, Reason, StoreStatus):
        assert set(of_members(kind)) == {member.name for member in kind}
    for described in (Criteria, Forms):
        assert set(of_attributes(described)) == {field.name for field in fields(described)}
