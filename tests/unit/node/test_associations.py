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


def test_a_study_is_idle_when_the_last_association_that_sent_it_ends() -> None:
    associations = OpenAssociations()
    first, second = opened(associations, "CT1", 1, 2), opened(associations, "CT2", 2)
    ended = associations.end(first)
    assert (ended.studies, ended.idle_studies) == ({1, 2}, {1})
    ended = associations.end(second)
    assert (ended.studies, ended.idle_studies) == ({2}, {2})
    assert associations.end(second) == Ended()


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
