"""The receive path with a real SCU: what is kept, what is refused, and that the node stays up."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydicom import dcmread
from pynetdicom import build_context

from config.errors import PeerRefusedError
from config.settings import CompletionSettings, NodeSettings, Settings
from ml.readers.pixels import supported_transfer_syntaxes
from ml.volume import Volume
from node.completion import sweep
from node.custody import Stores
from node.engine import Queues
from node.listener import ACCEPTED_CLASSES, start_server
from node.peers import Caller, Peer, Timeouts, associated, echo
from node.reception import Request
from storage.database import Database
from storage.files import FileStore
from storage.records import CompleteStudy, ConflictKind, StudyRecord, StudyState
from tests.support.ct_series import head_series, legacy_converted, series_of, stack, uid
from tests.support.databases import url_in
from tests.support.heads import Head
from tests.support.pacs import free_port
from tests.support.sender import calling, encoded, request_for, store, store_raw
from tests.support.waiting import eventually

GRID = stack(range(0, 60, 5), size=32, pixel_mm=7.0)
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
TIMEOUTS = Timeouts(connection_seconds=2, acse_seconds=5, dimse_seconds=5, network_seconds=5)
COMPLETION = CompletionSettings(quiet_after_release_seconds=10, quiet_without_release_seconds=60)


@dataclass(frozen=True)
class Site:
    """A listener without its sweep: tests say when it is what time."""

    peer: Peer
    stores: Stores
    folder: Path

    def study(self, study_instance_uid: str) -> StudyRecord | None:
        with self.stores.database.read() as transaction:
            return transaction.studies.find(study_instance_uid)

    def sweep(self, *, after_seconds: float) -> int:
        now = datetime.now(UTC) + timedelta(seconds=after_seconds)
        return sweep(self.stores.database, self.stores.queues, COMPLETION, now=now)

    def jobs(self) -> list[int]:
        with self.stores.database.read() as transaction:
            return [job.study_id for job in transaction.jobs.list()]

    def complete_study(self, study_id: int, generation: int = 1) -> CompleteStudy:
        with self.stores.database.read() as transaction:
            study = transaction.studies.read_complete(study_id, generation)
        assert study is not None
        return study

    def conflicts(self) -> list[ConflictKind]:
        with self.stores.database.read() as transaction:
            return [conflict.kind for conflict in transaction.studies.conflicts()]

    def is_alive(self) -> bool:
        return echo(self.peer, caller=Caller("CT1", TIMEOUTS)) > 0


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    database = Database(url_in(tmp_path))
    stores = Stores(
        database=database,
        files=FileStore(tmp_path / "files", reserve_bytes=0),
        queues=Queues(database.engine),
        max_instance_bytes=1 << 20,
    )
    node = NodeSettings(port=free_port(), allowed_calling_ae_titles=("CT1", "CT2"))
    server = start_server(Settings(node=node), stores)
    yield Site(Peer("MIDLINE", "127.0.0.1", node.port), stores, tmp_path)
    server.shutdown()
    stores.queues.close()
    database.close()


def test_a_series_is_kept_as_it_came_and_becomes_a_job_when_quiet(site: Site) -> None:
    images = head_series(GRID)
    assert store(site.peer, images) == [0] * len(images)
    study = eventually(lambda: site.study(images[0].StudyInstanceUID))
    eventually(lambda: (s := site.study(study.study_instance_uid)) and s.released_at)
    assert study.num_instances == len(images)
    assert site.sweep(after_seconds=5) == 0
    assert site.sweep(after_seconds=15) == 1
    assert site.sweep(after_seconds=15) == 0
    assert site.jobs() == [study.id]
    complete = site.complete_study(study.id)
    held = {i.sop_instance_uid: site.stores.files.path(i.path) for i in complete.instances}
    for image in images:
        content = held[image.SOPInstanceUID].read_bytes()
        assert content[:132] == bytes(128) + b"DICM"
        assert content.endswith(encoded(image))
        assert dcmread(held[image.SOPInstanceUID]).SOPInstanceUID == image.SOPInstanceUID


def test_an_open_association_waits_for_the_longer_quiet_time(site: Site) -> None:
    images = head_series(GRID)
    with calling(site.peer, [CT_IMAGE]) as association:
        for image in images:
            association.send_c_store(image)
        assert site.sweep(after_seconds=30) == 0
        assert site.sweep(after_seconds=90) == 1


def test_late_images_make_the_next_generation(site: Site) -> None:
    images = head_series(GRID)
    store(site.peer, images[:-1])
    study = eventually(lambda: site.study(images[0].StudyInstanceUID))
    site.sweep(after_seconds=90)
    store(site.peer, images[-1:])
    site.sweep(after_seconds=90)
    assert site.jobs() == [study.id, study.id]
    assert len(site.complete_study(study.id, 1).instances) == len(images) - 1
    assert len(site.complete_study(study.id, 2).instances) == len(images)


def test_the_same_image_again_changes_nothing(site: Site) -> None:
    images = head_series(GRID)
    store(site.peer, images)
    site.sweep(after_seconds=90)
    assert store(site.peer, images) == [0] * len(images)
    assert site.sweep(after_seconds=200) == 0
    study = site.study(images[0].StudyInstanceUID)
    assert study is not None
    assert study.num_instances == study.num_duplicates == len(images)


def test_the_same_uid_with_other_content_goes_to_quarantine(site: Site) -> None:
    image = head_series(GRID)[0]
    assert store(site.peer, [image]) == [0]
    study = eventually(lambda: site.study(image.StudyInstanceUID))
    before = {p: p.read_bytes() for p in site.folder.rglob("received/*/*.dcm")}
    image.SeriesDescription = "edited"
    assert store(site.peer, [image]) == [0x0111]
    assert site.conflicts() == [ConflictKind.INSTANCE]
    assert {p: p.read_bytes() for p in site.folder.rglob("received/*/*.dcm")} == before
    assert len(list(site.folder.rglob("quarantine/*.dcm"))) == 1
    after = site.study(image.StudyInstanceUID)
    assert after is not None
    assert (after.state, after.num_instances) == (StudyState.RECEIVING, study.num_instances)


def test_another_patient_on_a_known_study_quarantines_it_and_it_is_still_reported(
    site: Site,
) -> None:
    images = head_series(GRID)
    store(site.peer, images[:2])
    images[2].PatientID = "SOMEBODY ELSE"
    assert store(site.peer, [images[2]]) == [0xC102]
    study = site.study(images[0].StudyInstanceUID)
    assert study is not None
    assert study.state is StudyState.QUARANTINED
    assert site.conflicts() == [ConflictKind.PATIENT]
    assert site.jobs() == [study.id]
    assert site.sweep(after_seconds=1000) == 0


def test_a_series_under_a_second_study_quarantines_the_first(site: Site) -> None:
    image = head_series(GRID)[0]
    store(site.peer, [image])
    stolen = head_series(GRID, StudyInstanceUID=uid("another study"))[1]
    assert store(site.peer, [stolen]) == [0xC102]
    study = site.study(image.StudyInstanceUID)
    assert study is not None
    assert study.state is StudyState.QUARANTINED
    assert site.jobs() == [study.id]
    assert site.study(uid("another study")) is None


def test_two_studies_interleaved_on_two_associations_never_mix(site: Site) -> None:
    first, second = head_series(GRID, name="a"), head_series(GRID, name="b")
    with (
        calling(site.peer, [CT_IMAGE], ae_title="CT1") as one,
        calling(site.peer, [CT_IMAGE], ae_title="CT2") as two,
    ):
        for a, b in zip(first, second, strict=True):
            assert one.send_c_store(a).Status == two.send_c_store(b).Status == 0
    site.sweep(after_seconds=90)
    for images in (first, second):
        study = site.study(images[0].StudyInstanceUID)
        assert study is not None
        held = {i.sop_instance_uid for i in site.complete_study(study.id).instances}
        assert held == {image.SOPInstanceUID for image in images}


def bad_requests() -> dict[str, tuple[Request, int]]:
    image = head_series(GRID)[0]
    whole = request_for(image)
    nobody = head_series(GRID, PatientID="")[0]
    return {
        "not DICOM": (replace(whole, data_set=b"GET / HTTP/1.1\r\n\r\n" * 9), 0xC000),
        "cut short": (replace(whole, data_set=whole.data_set[:-100]), 0xC000),
        "another class than announced": (
            replace(whole, sop_class_uid="1.2.840.10008.5.1.4.1.1.2.1"),
            0xA900,
        ),
        "another image than announced": (replace(whole, sop_instance_uid="1.2.3"), 0xA900),
        "no patient": (request_for(nobody), 0xA900),
        "too large": (
            request_for(series_of(head_volume(), name="large")[0]),
            0xA700,
        ),
    }


def head_volume() -> Volume:
    return Head(holder=False).volume(stack([0.0, 5.0], size=800, pixel_mm=0.3))


@pytest.mark.parametrize("name", list(bad_requests()))
def test_bad_input_gets_a_status_and_leaves_nothing(site: Site, name: str) -> None:
    request, status = bad_requests()[name]
    response = store_raw(site.peer, request, site.folder)
    assert response.Status == status
    assert 0 < len(response.ErrorComment) <= 64
    assert list(site.folder.rglob("files/received/*/*")) == []
    assert site.jobs() == []
    assert site.is_alive()


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_path_characters_in_a_uid_are_refused(site: Site) -> None:
    request = replace(request_for(head_series(GRID)[0]), sop_instance_uid="../../../escaped")
    response = store_raw(site.peer, request, site.folder)
    assert response.Status == 0xC000
    assert not list(site.folder.parent.rglob("*escaped*"))
    assert site.is_alive()


def test_other_classes_are_not_even_negotiated(site: Site) -> None:
    with calling(site.peer, [SECONDARY_CAPTURE, CT_IMAGE]) as association:
        accepted = [context.abstract_syntax for context in association.accepted_contexts]
    assert accepted == [CT_IMAGE]


def test_ct_classes_are_accepted_in_every_syntax_that_can_be_decoded(site: Site) -> None:
    syntaxes = supported_transfer_syntaxes()
    assert len(syntaxes) >= 14
    contexts = [build_context(each, s) for each in ACCEPTED_CLASSES for s in syntaxes]
    with associated(site.peer, contexts, caller=Caller("CT1", TIMEOUTS)) as association:
        accepted = {
            (c.abstract_syntax, c.transfer_syntax[0]) for c in association.accepted_contexts
        }
    assert accepted == {(each, s) for each in ACCEPTED_CLASSES for s in syntaxes}


def test_a_converted_multi_frame_image_is_kept_as_one_instance(site: Site) -> None:
    image = legacy_converted(head_series(GRID))
    assert store(site.peer, [image]) == [0]
    study = site.study(image.StudyInstanceUID)
    assert study is not None
    assert study.num_instances == 1


def test_a_sender_that_is_not_on_the_list_is_rejected(site: Site) -> None:
    with pytest.raises(PeerRefusedError, match="does not know our AE title"):
        store(site.peer, head_series(GRID)[:1], ae_title="STRANGER")


def test_a_full_disk_is_answered_as_out_of_resources(site: Site, tmp_path: Path) -> None:
    object.__setattr__(site.stores, "files", FileStore(tmp_path / "f", reserve_bytes=1 << 60))
    assert store(site.peer, head_series(GRID)[:1]) == [0xA700]
    assert site.is_alive()


def test_a_lost_database_is_answered_and_does_not_end_the_node(site: Site) -> None:
    with site.stores.database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE study RENAME TO lost")
    status = store(site.peer, head_series(GRID)[:1])[0]
    assert status in (0xC100, 0xA700)
    assert site.is_alive()
