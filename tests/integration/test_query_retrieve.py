"""Asking a sender's archive for counts and missing images: a real Q/R SCP, a real listener."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from config.errors import PeerError, PeerRefusedError, PeerUnavailableError
from node.fetching import MOST_FETCHES
from node.peers import Caller, Peer
from node.query import FIND, get_images, move_images, querying
from tests.integration.test_completeness import PATIENT, has_ended, head, is_receiving
from tests.support.archive import CT_IMAGE, Held, running_archive
from tests.support.completing import Completing, completing
from tests.support.sender import TIMEOUTS, store
from tests.support.waiting import eventually

CALLER = Caller("MIDLINE", TIMEOUTS)
LITTLE_ENDIAN = "1.2.840.10008.1.2.1"


def sender(archive: Held, retrieve: str, *, ae_title: str) -> dict[str, Any]:
    """Settings of a sender whose archive answers queries."""
    peer = archive.peer
    query = {"ae_title": peer.ae_title, "host": peer.host, "port": peer.port}
    return {"ae_title": ae_title, "query": query | {"retrieve": retrieve}}


def stranger(ae_title: str) -> dict[str, Any]:
    return {"ae_title": ae_title}


def test_counts_and_uids_are_those_of_the_archive() -> None:
    first, second = head("a/1"), head("a/2")[:4]
    second[0].Modality = "SR"
    with running_archive([*first, *second, *head("b")]) as archive:
        study, series = first[0].StudyInstanceUID, first[0].SeriesInstanceUID
        with querying(archive.peer, caller=CALLER) as asked:
            counted = asked.count_images(study)
            listed = asked.list_images(study, [series], sop_class_uids=[CT_IMAGE])
            others = asked.list_images(study, [series], sop_class_uids=["1.2.3"])
    assert counted[series] == len(first)
    assert listed == {series: {image.SOPInstanceUID for image in first}}
    assert others == {series: frozenset()}


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (0xA700, PeerUnavailableError),
        (0xFE00, PeerUnavailableError),
        (0xA900, PeerRefusedError),
        (0xC001, PeerRefusedError),
        (0x0122, PeerRefusedError),
    ],
)
def test_a_final_status_that_is_no_success_is_an_error(status: int, error: type[PeerError]) -> None:
    with running_archive(head("a")) as archive:
        archive.final["C-FIND"] = status
        with (
            pytest.raises(error, match=f"answered C-FIND with status 0x{status:04X}"),
            querying(archive.peer, caller=CALLER) as asked,
        ):
            asked.count_images(head("a")[0].StudyInstanceUID)


def test_an_archive_without_the_service_is_named() -> None:
    with (
        running_archive([], offered=(FIND,)) as archive,
        pytest.raises(PeerRefusedError, match="does not offer SOP class"),
    ):
        move_images(archive.peer, "1.2", {"1.2.3": ["1.2.3.4"]}, caller=CALLER)


def test_a_refused_retrieval_is_an_error() -> None:
    images = head("a")
    uids = {str(images[0].SeriesInstanceUID): [str(images[0].SOPInstanceUID)]}
    study = str(images[0].StudyInstanceUID)
    with running_archive(images) as archive:
        archive.final |= {"C-GET": 0xA702, "C-MOVE": 0xA801}
        with pytest.raises(PeerUnavailableError, match="C-GET with status 0xA702"):
            get_images(
                archive.peer,
                study,
                uids,
                caller=CALLER,
                contexts=[(CT_IMAGE, LITTLE_ENDIAN)],
                store=lambda _: Dataset(),
            )
        with pytest.raises(PeerRefusedError, match="C-MOVE with status 0xA801"):
            move_images(archive.peer, study, uids, caller=CALLER)


@dataclass(frozen=True)
class Rig:
    """A node, and the archive that answers for three of its senders."""

    node: Completing
    archive: Held


@contextmanager
def running(folder: Path, **completion: float) -> Iterator[Rig]:
    with running_archive([]) as archive:
        senders = (
            sender(archive, "GET", ae_title="GETS"),
            sender(archive, "MOVE", ae_title="MOVES"),
            sender(archive, "NONE", ae_title="ASKS"),
            stranger("ARCHIVE"),
            stranger("CT9"),
        )
        with completing(folder, completion=PATIENT | completion, senders=senders) as node:
            archive.move_port = node.peer.port
            yield Rig(node, archive)


@pytest.fixture(scope="module")
def shared_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with running(tmp_path_factory.mktemp("node")) as rig:
        yield rig


@pytest.fixture
def rig(shared_rig: Rig) -> Rig:
    archive = shared_rig.archive
    archive.finds.clear()
    archive.retrieved.clear()
    archive.final.clear()
    archive.is_counting = True
    return shared_rig


@pytest.mark.parametrize("ae_title", ["GETS", "MOVES"])
def test_missing_images_are_fetched_and_then_the_study_is_complete(rig: Rig, ae_title: str) -> None:
    images = head(f"by {ae_title}")
    rig.archive.images += images
    store(rig.node.peer, images[:9], ae_title=ae_title)
    complete = rig.node.completed(images[0].StudyInstanceUID)
    uids = [image.SOPInstanceUID for image in images]
    assert {instance.sop_instance_uid for instance in complete.instances} == set(uids)
    assert complete.evidence == "13 images, as many as by C-FIND of ARCHIVE"
    assert sorted(rig.archive.retrieved) == sorted(uids[9:])
    assert [job.generation for job in rig.node.jobs(images[0].StudyInstanceUID)] == [1]
    study = rig.node.study(images[0].StudyInstanceUID)
    assert study is not None
    assert study.longest_pause_seconds is None


def test_equal_counts_complete_a_study_that_is_no_head(rig: Rig) -> None:
    images = head("counted")[:3]
    rig.archive.images += images
    store(rig.node.peer, images, ae_title="GETS")
    assert len(rig.node.completed(images[0].StudyInstanceUID).instances) == 3
    assert rig.archive.levels(images[0].StudyInstanceUID) == ["SERIES"]


def test_an_archive_that_does_not_count_is_asked_for_the_images(rig: Rig) -> None:
    images = head("listed")
    rig.archive.images += images
    rig.archive.is_counting = False
    store(rig.node.peer, images, ae_title="GETS")
    rig.node.completed(images[0].StudyInstanceUID)
    assert rig.archive.levels(images[0].StudyInstanceUID) == ["SERIES", "IMAGE"]
    assert rig.archive.retrieved == []


def test_a_mute_archive_holds_up_nobody(rig: Rig) -> None:
    images, other, go_on = head("mute"), head("heard"), threading.Event()
    rig.archive.images += images
    rig.archive.before = lambda: go_on.wait(60)
    store(rig.node.peer, images, ae_title="GETS")
    eventually(lambda: has_ended(rig.node, images))
    store(rig.node.peer, other, ae_title="CT9")
    rig.node.completed(other[0].StudyInstanceUID)
    assert is_receiving(rig.node, images)
    rig.archive.before = lambda: None
    go_on.set()
    rig.node.completed(images[0].StudyInstanceUID)


def test_a_whole_head_of_which_the_archive_has_more_is_not_complete(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.fetching.FIRST_PAUSE", timedelta(0))
    images, more = head("part/1"), head("part/2")[:2]
    rig.archive.images += [*images, *more]
    store(rig.node.peer, images, ae_title="ASKS")

    def told() -> tuple[int | None, str | None]:
        study = rig.node.study(images[0].StudyInstanceUID)
        return (None, None) if study is None else (study.expected_instances, study.expected_by)

    eventually(lambda: told() == (15, "C-FIND of ARCHIVE"))
    # asked again, it still says so
    eventually(lambda: len(rig.archive.levels(images[0].StudyInstanceUID)) > 3)
    assert is_receiving(rig.node, images)
    assert rig.archive.retrieved == []
    for image in more:
        rig.archive.images.remove(image)
    assert len(rig.node.completed(images[0].StudyInstanceUID).instances) == 13


def test_a_sender_that_is_faster_than_its_archive_contradicts_nothing(rig: Rig) -> None:
    images = head("pushed")
    rig.archive.images += images[:-1]
    other = deepcopy(images[-1])
    other.SeriesDescription = "as the archive has it"
    rig.archive.images.append(other)
    store(rig.node.peer, images[:-1], ae_title="GETS")
    rig.archive.before_get = lambda: store(rig.node.peer, images[-1:], ae_title="GETS")
    assert len(rig.node.completed(images[0].StudyInstanceUID).instances) == len(images)
    rig.archive.before_get = lambda: None
    assert rig.archive.retrieved == [images[-1].SOPInstanceUID]
    with rig.node.stores.database.read() as transaction:
        assert transaction.studies.conflicts() == ()


def test_what_cannot_be_fetched_is_asked_for_no_more(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.fetching.FIRST_PAUSE", timedelta(0))
    images = head("withheld/1")
    rig.archive.images += [*images, *head("withheld/2")[:1]]
    rig.archive.final["C-GET"] = 0xA702
    store(rig.node.peer, images, ae_title="GETS")
    study = images[0].StudyInstanceUID
    eventually(lambda: rig.archive.levels(study).count("SERIES") > MOST_FETCHES + 1)
    assert is_receiving(rig.node, images)
    assert len(rig.archive.retrieved) == MOST_FETCHES


def test_what_cannot_be_learned_is_left_to_time(tmp_path: Path) -> None:
    images = head("unknown")
    with running(tmp_path, quiet_after_release_seconds=1.0) as rig:
        rig.archive.images += images
        rig.archive.final["C-FIND"] = 0xC001
        store(rig.node.peer, images, ae_title="ASKS")
        complete = rig.node.completed(images[0].StudyInstanceUID)
    assert complete.evidence == "association ended, and quiet since"
    assert len(complete.instances) == len(images)


def test_a_peer_that_is_away_is_told_by_its_address() -> None:
    with running_archive([]) as archive:
        away = Peer("AWAY", "127.0.0.1", archive.peer.port)
    with (
        pytest.raises(PeerUnavailableError, match="AWAY@"),
        querying(away, caller=CALLER),
    ):
        pass
