"""An image whose row is lost is entered again; what is no whole image is not."""

import hashlib
import threading
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest

from node import adoption
from node.adoption import adopt, adopt_after_boot
from node.custody import Stores, keep
from node.engine import Queues, migrate
from node.part10 import preceding
from node.reception import Request
from storage.database import Database
from storage.files import FileStore
from tests.support.ct_series import head_series, stack
from tests.support.databases import database_url
from tests.support.sender import request_for

IMAGES = head_series(stack([0.0, 5.0, 10.0], size=16))
REQUESTS = [request_for(each) for each in IMAGES]


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    with database_url(tmp_path) as url:
        database = Database(url)
        database.upgrade()
        migrate(database)
        files = FileStore(tmp_path / "files", reserve_bytes=0)
        yield Stores(database, files, Queues(database.engine), max_instance_bytes=1 << 20)
        database.close()


def written(request: Request, stores: Stores, *, cut: int = 0) -> str:
    content = preceding(request, calling_ae_title="CT1") + request.data_set
    sha256 = hashlib.sha256(request.data_set).hexdigest()
    return stores.files.write_received([content[: len(content) - cut]], sha256=sha256)


def num_held(stores: Stores) -> int:
    with stores.database.read() as transaction:
        study = transaction.studies.find(str(IMAGES[0].StudyInstanceUID))
        return 0 if study is None else study.num_instances


def test_a_lost_row_is_made_again_as_it_was(stores: Stores) -> None:
    study_id = keep(REQUESTS[0], stores, calling_ae_title="CT1")
    assert adopt(written(REQUESTS[1], stores), stores)
    with stores.database.read() as transaction:
        kept, adopted = transaction.arrivals.images(study_id)
        study = transaction.studies.get(study_id)
        held = transaction.retention.paths_of(study_id)
    assert study is not None
    assert study.calling_ae_title == "CT1"
    assert adopted.series_instance_uid == kept.series_instance_uid
    assert adopted.geometry_json is not None
    assert held[1] == stores.files.path_of_received(
        hashlib.sha256(REQUESTS[1].data_set).hexdigest()
    )
    assert adopt(held[1], stores)
    assert num_held(stores) == 2


@pytest.mark.parametrize("cut", [1, 300, 900])
def test_half_an_image_is_not_entered(stores: Stores, cut: int) -> None:
    assert not adopt(written(REQUESTS[0], stores, cut=cut), stores)
    assert num_held(stores) == 0


def test_what_contradicts_the_index_lies_in_quarantine_as_if_it_had_just_come(
    stores: Stores,
) -> None:
    study_id = keep(REQUESTS[0], stores, calling_ae_title="CT1")
    other = deepcopy(IMAGES[0])
    other.ImageComments = "other content"
    path = written(request_for(other), stores)
    assert adopt(path, stores)
    assert not stores.files.path(path).exists()
    with stores.database.read() as transaction:
        assert len(transaction.studies.conflicts(limit=10)) == 1
        assert len(transaction.arrivals.images(study_id)) == 1


def test_what_is_no_ct_any_more_is_put_aside_for_a_person(stores: Stores) -> None:
    request = replace(REQUESTS[0], sop_class_uid="1.2.840.10008.5.1.4.1.1.4")
    path = written(request, stores)
    assert adopt(path, stores)
    assert [each.name for each in (stores.files.root / "quarantine").iterdir()] == [Path(path).name]


def test_it_is_done_once_after_each_start_of_the_machine(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boot = tmp_path / "boot_id"
    boot.write_text("first\n", encoding="ascii")
    monkeypatch.setattr(adoption, "BOOT_ID", boot)
    stop = threading.Event()
    keep(REQUESTS[0], stores, calling_ae_title="CT1")
    written(REQUESTS[1], stores)
    assert adopt_after_boot(stores, stop) == 1
    written(REQUESTS[2], stores)
    assert adopt_after_boot(stores, stop) == 0
    boot.write_text("second\n", encoding="ascii")
    assert adopt_after_boot(stores, stop) == 1
    assert num_held(stores) == 3


def test_who_is_stopped_looks_again_at_the_next_start(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boot = tmp_path / "boot_id"
    boot.write_text("first\n", encoding="ascii")
    monkeypatch.setattr(adoption, "BOOT_ID", boot)
    written(REQUESTS[0], stores)
    stop = threading.Event()
    stop.set()
    assert adopt_after_boot(stores, stop) == 0
    assert adopt_after_boot(stores, threading.Event()) == 1
