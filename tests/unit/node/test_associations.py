"""Who sends what at this moment, told of associations that are as little as is looked at."""

import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from node.associations import Ended, OpenAssociations

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"


@dataclass(eq=False)
class Association:
    """As much of an association as is looked at."""

    ae_title: str
    is_over: bool = False
    requestor: Any = field(init=False)
    remote: Any = field(init=False)

    def __post_init__(self) -> None:
        request = SimpleNamespace(calling_ae_title=f"{self.ae_title} ")
        self.requestor = SimpleNamespace(primitive=request)
        self.remote = {"address": "127.0.0.1"}

    def is_alive(self) -> bool:
        return not self.is_over


def opened(associations: OpenAssociations, ae_title: str, *study_ids: int) -> Any:
    association: Any = Association(ae_title)
    associations.begin(association)
    for study_id in study_ids:
        associations.note(association, study_id, CT_IMAGE)
    return association


def test_only_the_first_image_of_a_study_on_an_association_is_news() -> None:
    associations = OpenAssociations()
    association: Any = Association("CT1")
    name = associations.begin(association)
    assert associations.note(association, 1, CT_IMAGE) == name
    assert associations.note(association, 1, CT_IMAGE) == ""
    assert associations.note(association, 2, CT_IMAGE) == name
    ended = associations.end(association)
    assert ended.id == name
    assert ended.instances == {1: {CT_IMAGE: 2}, 2: {CT_IMAGE: 1}}


def test_what_has_ended_leaves_nothing_more() -> None:
    associations = OpenAssociations()
    association = opened(associations, "CT1", 1)
    assert len(associations.ids) == 1
    assert associations.end(association).studies == {1}
    assert associations.end(association) == Ended()
    assert associations.note(association, 1, CT_IMAGE) == ""


def test_an_end_that_is_not_recorded_yet_is_no_lost_association() -> None:
    associations = OpenAssociations()
    association = opened(associations, "CT1", 1)
    ended = associations.end(association)
    assert associations.ids == {ended.id}
    associations.recorded(ended.id)
    assert associations.ids == frozenset()


def test_a_sender_calls_as_long_as_one_of_its_associations_is_open() -> None:
    associations = OpenAssociations()
    first, second = opened(associations, "CT1"), opened(associations, "CT1")
    associations.end(first)
    assert associations.is_calling("CT1")
    assert not associations.is_calling("CT2")
    associations.end(second)
    assert not associations.is_calling("CT1")


def test_who_ended_without_a_word_is_lost() -> None:
    associations = OpenAssociations()
    association = opened(associations, "CT1", 5)
    assert associations.lost() == ()
    association.is_over = True
    assert associations.lost() == (association,)
    associations.end(association)
    assert associations.lost() == ()


def test_what_is_announced_is_taken_once_and_wakes_who_waits() -> None:
    associations = OpenAssociations()
    assert associations.announced(wait_seconds=0) == frozenset()
    associations.announce(frozenset({1}))
    associations.announce(frozenset({2, 3}))
    assert associations.announced(wait_seconds=0) == {1, 2, 3}
    assert associations.announced(wait_seconds=0) == frozenset()
    thread = threading.Thread(target=associations.announce, args=(frozenset({4}),))
    thread.start()
    assert associations.announced(wait_seconds=60) == {4}
    thread.join()
