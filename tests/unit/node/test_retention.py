"""Images go when they may, a crash in between does no harm, and nothing else goes with them."""

import hashlib
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from config.errors import StorageError
from config.settings import RetentionSettings
from node import retention
from node.audit.codes import Event
from node.audit.messages import Kind, Message
from node.custody import Stores
from node.engine import Queues
from node.part10 import preceding
from node.retention import Removed, Retention, num_missing
from storage.database import Database
from storage.files import FileStore
from tests.support.audit_messages import ALICE
from tests.support.ct_series import head_series, stack
from tests.support.databases import url_in
from tests.support.held import hold
from tests.support.received import complete_study, made
from tests.support.result_inputs import make_grid, make_series, uid
from tests.support.sender import request_for
from tests.support.waiting import eventually

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=10)
HEADERS = make_series(make_grid(heights_mm=(0, 5, 10))).headers


class Site:
    """A store with finished studies of three images each."""

    def __init__(self, folder: Path) -> None:
        self.database = Database(url_in(folder))
        self.files = FileStore(folder / "files", reserve_bytes=0)
        self.told: list[Message] = []

    def finished(self, name: str, *, days_ago: float = 10) -> int:
        moment = NOW - timedelta(days=days_ago)
        headers = [_renamed(header, name) for header in HEADERS]
        with self.database.begin() as transaction:
            study_id = hold(transaction, self.files, headers, now=moment)
            complete = complete_study(transaction, study_id)
            job = transaction.jobs.create(study_id, complete.generation, now=moment)
            transaction.jobs.start(job.id, "worker", now=moment)
            transaction.jobs.finish(job.id, outcome="NEGATIVE", now=moment)
            transaction.results.record(job.id, [made("SR", 0, job_id=job.id)], [], now=moment)
        self.files.write_result(b"prediction", job_id=job.id, suffix=".npz")
        self.files.write_result(b"report", job_id=job.id)
        self.age()
        return study_id

    def age(self, *, hours: float = 2) -> None:
        moment = (NOW - timedelta(hours=hours)).timestamp()
        for path in self.files.root.glob("received/*/*"):
            os.utime(path, (moment, moment))

    def retention(self, *, low_space_bytes: int = 0, keep_days: float | None = 7) -> Retention:
        settings = RetentionSettings(keep_days=keep_days, low_space_bytes=low_space_bytes)
        return Retention(self.stores, settings)

    @property
    def stores(self) -> Stores:
        return Stores(
            self.database,
            self.files,
            Queues(self.database.engine),
            max_instance_bytes=1 << 20,
            audit=self.told.append,
        )

    def count(self, pattern: str) -> int:
        return len(list(self.files.root.glob(pattern)))

    @property
    def num_received(self) -> int:
        return self.count("received/*/*.dcm")


def _renamed(header: object, name: str) -> object:
    from copy import deepcopy

    copy = deepcopy(header)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(copy, keyword, uid(name, getattr(copy, keyword)))
    return copy


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.database.close()


def test_images_go_after_their_days_and_results_stay(site: Site) -> None:
    old, young = site.finished("old"), site.finished("young", days_ago=1)
    gone = site.retention().run(now=NOW)
    assert gone.study_ids == (old,)
    assert gone.num_bytes > 0
    assert site.num_received == 3
    assert site.count("results/*/*.npz") == 1
    assert site.count("results/*/*.dcm") == 2
    with site.database.read() as transaction:
        assert transaction.studies.get(old).files_removed_at == NOW  # type: ignore[union-attr]
        assert transaction.studies.get(young).files_removed_at is None  # type: ignore[union-attr]
    assert site.retention().run(now=NOW) == Removed()


def test_each_removal_is_told_with_its_study_and_who_asked(site: Site) -> None:
    study_id = site.finished("old")
    settings = RetentionSettings(keep_days=7)
    asked = Retention(site.stores, settings, person=ALICE)
    asked.run(now=NOW)
    (message,) = site.told
    assert message.event is Event.STUDY_DELETED
    assert [each.number for each in message.objects if each.kind is Kind.STUDY] == [study_id]
    assert [each.user_id for each in message.participants if each.is_requestor] == ["midline"]


def test_without_days_images_stay_for_ever(site: Site) -> None:
    site.finished("old", days_ago=5000)
    assert site.retention(keep_days=None).run(now=NOW) == Removed()
    assert site.num_received == 3


def test_for_room_the_oldest_go_first_and_no_more_than_needed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    second, first = site.finished("b", days_ago=2), site.finished("a", days_ago=3)
    site.finished("c", days_ago=1)
    monkeypatch.setattr(FileStore, "free_bytes", 1000)
    with site.database.read() as transaction:
        sizes = {s.id: s.num_bytes for s in transaction.retention.finished(now=NOW)}
    lacking = sizes[first] + 1
    due = site.retention(low_space_bytes=1000 + lacking).due(now=NOW)
    assert [study.id for study in due] == [first, second]
    assert site.retention(low_space_bytes=1000).due(now=NOW) == ()
    site.retention(low_space_bytes=1000 + lacking).run(now=NOW)
    assert site.num_received == 3


def test_a_crash_after_the_mark_leaves_files_that_the_next_sweep_takes(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.finished("old")

    def die(*_: object, **__: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(FileStore, "remove", die)
        with pytest.raises(KeyboardInterrupt):
            site.retention().run(now=NOW)
    assert site.num_received == 3
    assert site.retention().run(now=NOW).num_orphans == 3
    assert site.num_received == 0
    assert len(site.told) == 1


def test_content_that_a_study_still_needs_stays(site: Site) -> None:
    old, young = site.finished("old"), site.finished("young", days_ago=1)
    with site.database.engine.begin() as connection:
        # two rows on one file: not what a sender does, but what digests as names allow
        connection.execute(
            sa.text(
                "UPDATE instance SET path = "
                "(SELECT path FROM instance WHERE study_id = :old LIMIT 1)"
                " WHERE id = (SELECT max(id) FROM instance WHERE study_id = :young)"
            ),
            {"old": old, "young": young},
        )
    assert site.retention().run(now=NOW).study_ids == (old,)
    with site.database.read() as transaction:
        paths = transaction.retention.paths_of(young)
    assert all(site.files.path(path).is_file() for path in paths)


def test_an_image_without_a_row_is_entered_instead(site: Site) -> None:
    request = request_for(head_series(stack([0.0, 5.0], size=16))[0])
    sha256 = hashlib.sha256(request.data_set).hexdigest()
    header = preceding(request, calling_ae_title="CT1")
    path = site.files.write_received([header, request.data_set], sha256=sha256)
    assert site.retention().run(now=NOW).num_adopted == 0
    site.age()
    gone = site.retention().run(now=NOW)
    assert (gone.num_orphans, gone.num_adopted) == (0, 1)
    with site.database.read() as transaction:
        assert transaction.retention.needed([path])
    assert site.retention().run(now=NOW).num_adopted == 0


def test_orphans_and_parts_go_when_they_are_old(site: Site) -> None:
    orphan = site.files.write_received([b"nobody's"], sha256="a" * 64)
    assert site.retention().run(now=NOW).num_orphans == 0
    site.age()
    part = site.files.path(orphan).with_name("x.part")
    part.write_bytes(b"half")
    os.utime(part, (LONG_AGO.timestamp(), LONG_AGO.timestamp()))
    gone = site.retention().run(now=NOW)
    assert (gone.num_orphans, gone.num_parts) == (1, 1)
    assert site.num_received == 0


def test_what_lies_in_quarantine_is_left_there(site: Site) -> None:
    aside = site.files.quarantine(site.files.write_received([b"x"], sha256="a" * 64))
    os.utime(site.files.path(aside), (LONG_AGO.timestamp(), LONG_AGO.timestamp()))
    site.retention().run(now=NOW)
    assert site.files.path(aside).is_file()


def test_missing_images_of_a_generation_are_counted(site: Site) -> None:
    study_id = site.finished("old")
    with site.database.read() as transaction:
        study = transaction.studies.read_complete(study_id, 1)
    assert study is not None
    assert num_missing(site.files, study) == 0
    site.retention().run(now=NOW)
    assert num_missing(site.files, study) == 3


def test_it_goes_on_by_itself_whatever_fails(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(retention, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(retention, "SWEEP_SECONDS", 0.01)
    site.finished("old")
    stop, failures = threading.Event(), iter([StorageError("the store is away")])
    run = Retention.run

    def fail_once(self: Retention, *, now: datetime) -> Removed:
        for error in failures:
            raise error
        return run(self, now=now)

    monkeypatch.setattr(Retention, "run", fail_once)
    thread = threading.Thread(target=site.retention().run_until, args=(stop,))
    thread.start()
    try:
        eventually(lambda: site.num_received == 0)
    finally:
        stop.set()
        thread.join()
    assert "the store is away" in caplog.text
