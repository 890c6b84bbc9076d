"""Studies that prove to be complete, on the wire: a real sender, a real listener and its sweep."""

from collections.abc import Iterator
from itertools import count

import pytest
from pydicom.dataset import Dataset

from config.settings import Settings
from node.commitment.granting import Grantor
from node.commitment.messages import Request
from storage.records import Reference, StudyState
from tests.support.completing import Completing, completing
from tests.support.ct_series import head_series, stack
from tests.support.sender import calling, store
from tests.support.waiting import eventually

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
PATIENT = {
    "quiet_after_release_seconds": 600.0,
    "quiet_without_release_seconds": 600.0,
    "unknown_sender_seconds": 0.0,
    "sweep_seconds": 0.05,
}
"""Only evidence completes a study in a test's time."""
NUMBERS = count(1)


def head(name: str, **attributes: object) -> list[Dataset]:
    grid = stack([10.0 * index for index in range(13)], size=16, pixel_mm=14.0)
    return head_series(grid, name=name, **attributes)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Completing]:
    with completing(tmp_path_factory.mktemp("node"), completion=PATIENT) as running:
        yield running


def is_receiving(node: Completing, images: list[Dataset]) -> bool:
    study = node.study(images[0].StudyInstanceUID)
    return study is not None and study.state is StudyState.RECEIVING


def has_ended(node: Completing, images: list[Dataset]) -> bool:
    study = node.study(images[0].StudyInstanceUID)
    return study is not None and study.released_at is not None


def let_it_look(node: Completing) -> None:
    """Let the sweep look at everything that came before: at the latest study it looks last."""
    images = head(f"other {next(NUMBERS)}")
    store(node.peer, images, ae_title="CT9")
    node.completed(images[0].StudyInstanceUID)


def test_a_whole_head_is_complete_once_its_association_is_released(node: Completing) -> None:
    images = head("whole")
    with calling(node.peer, [CT_IMAGE]) as association:
        for image in images:
            association.send_c_store(image)
        let_it_look(node)
        assert is_receiving(node, images)
    complete = node.completed(images[0].StudyInstanceUID)
    assert complete.evidence == "released, 130 mm of head without a gap"
    assert len(complete.instances) == len(images)
    assert len(node.jobs(images[0].StudyInstanceUID)) == 1


def test_a_head_with_a_gap_waits_for_what_is_missing(node: Completing) -> None:
    studies = {f"GAP{missing}": head(f"gap {missing}") for missing in (0, 6)}
    late = {"GAP0": studies["GAP0"].pop(0), "GAP6": studies["GAP6"].pop(6)}
    for ae_title, images in studies.items():
        store(node.peer, images, ae_title=ae_title)
        eventually(lambda images=images: has_ended(node, images))  # type: ignore[misc]
    let_it_look(node)
    for ae_title, images in studies.items():
        assert is_receiving(node, images)
        store(node.peer, [late[ae_title]], ae_title=ae_title)
    for images in studies.values():
        assert len(node.completed(images[0].StudyInstanceUID).instances) == len(images) + 1


def test_an_aborted_association_proves_nothing(node: Completing) -> None:
    images = head("aborted")
    with calling(node.peer, [CT_IMAGE], ae_title="ABORTS") as association:
        for image in images:
            association.send_c_store(image)
        association.abort()
    eventually(lambda: has_ended(node, images))
    let_it_look(node)
    assert is_receiving(node, images)
    study = node.study(images[0].StudyInstanceUID)
    assert study is not None
    assert study.is_interrupted


def test_a_count_proves_what_a_geometry_does_not(node: Completing) -> None:
    images = head("counted")[:5]
    store(node.peer, images, ae_title="COUNTED")
    eventually(lambda: has_ended(node, images))
    let_it_look(node)
    study = node.study(images[0].StudyInstanceUID)
    assert study is not None
    assert study.state is StudyState.RECEIVING
    with node.stores.database.begin() as transaction:
        transaction.studies.expect(study.id, 5, by="somebody")
    # a gap in what is there speaks against any count: these have none, and lack coverage alone
    complete = node.completed(images[0].StudyInstanceUID)
    assert complete.evidence == "5 images, as many as by somebody"


def test_a_list_for_commitment_is_a_count_only_if_it_names_all_that_is_held(
    node: Completing,
) -> None:
    images = head("committed")[:5]
    store(node.peer, images, ae_title="COMMITS")
    eventually(lambda: has_ended(node, images))

    def commit(number: int, listed: list[Dataset]) -> int | None:
        stores = node.stores
        grantor = Grantor(stores.database, stores.files, stores.queues, Settings())
        references = [Reference(CT_IMAGE, str(image.SOPInstanceUID)) for image in listed]
        request = Request(f"2.25.{number}", tuple(references))
        grantor.take(request, ae_title="COMMITS", image_classes=[CT_IMAGE])
        study = node.study(images[0].StudyInstanceUID)
        return None if study is None else study.expected_instances

    assert commit(1, images[:3]) is None
    assert commit(2, head("committed")[4:6]) == 6
    assert is_receiving(node, images)
    store(node.peer, head("committed")[5:6], ae_title="COMMITS")
    complete = node.completed(images[0].StudyInstanceUID)
    assert complete.evidence == "6 images, as many as by request for storage commitment"


def test_another_open_association_of_the_sender_is_waited_for(node: Completing) -> None:
    first, second = head("two/1"), head("two/2", SeriesNumber=3)
    with calling(node.peer, [CT_IMAGE], ae_title="TWO") as association:
        store(node.peer, first, ae_title="TWO")
        eventually(lambda: has_ended(node, first))
        let_it_look(node)
        assert is_receiving(node, first)
        for image in second:
            association.send_c_store(image)
    complete = node.completed(first[0].StudyInstanceUID)
    assert len(complete.instances) == len(first) + len(second)


def test_a_sender_that_made_a_pause_is_given_twice_as_long(node: Completing) -> None:
    images = head("pausing")
    store(node.peer, images[:6], ae_title="CT2")
    eventually(lambda: has_ended(node, images))
    store(node.peer, images[6:], ae_title="CT2")
    complete = node.completed(images[0].StudyInstanceUID)
    study = node.study(images[0].StudyInstanceUID)
    assert study is not None
    assert study.released_at is not None
    assert study.longest_pause_seconds is not None
    waited = (complete.completed_at - study.released_at).total_seconds()
    assert waited >= max(1.0, 2 * study.longest_pause_seconds)
