"""A file is there whole, or not at all."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import storage
from config.errors import StorageError, StorageFullError
from storage.files import FileStore

REPOSITORY = Path(storage.__file__).parents[1]
DIGEST = hashlib.sha256(b"data set").hexdigest()
NOW = datetime.now(UTC)


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "store", reserve_bytes=0)


def files_of(store: FileStore) -> list[str]:
    found = (path for path in store.root.rglob("*") if path.is_file())
    return sorted(path.relative_to(store.root).as_posix() for path in found)


def test_a_received_file_lies_under_its_digest(store: FileStore) -> None:
    relative = store.write_received([b"preamble", b"data set"], sha256=DIGEST)
    assert relative == f"received/{DIGEST[:2]}/{DIGEST}.dcm"
    assert store.path(relative).read_bytes() == b"preambledata set"
    assert files_of(store) == [relative]


def test_only_the_owner_may_read(store: FileStore) -> None:
    path = store.path(store.write_received([b"x"], sha256=DIGEST))
    assert path.stat().st_mode & 0o777 == 0o600
    folders = [store.root, *(each for each in store.root.rglob("*") if each.is_dir())]
    assert {each.stat().st_mode & 0o777 for each in folders} == {0o700}


def test_a_repetition_takes_no_room(store: FileStore) -> None:
    assert store.write_received([b"x"], sha256=DIGEST) == store.write_received(
        [b"x"], sha256=DIGEST
    )
    assert len(files_of(store)) == 1


def test_a_name_that_is_no_digest_is_refused(store: FileStore) -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        store.write_received([b"x"], sha256="../../etc/passwd")


def test_a_sender_that_breaks_off_leaves_nothing(store: FileStore) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"first half"
        raise ConnectionResetError

    with pytest.raises(StorageError):
        store.write_received(pieces(), sha256=DIGEST)
    assert files_of(store) == []


CRASH = """
import os, sys
from pathlib import Path
from storage.files import FileStore

class Pieces:
    def __iter__(self):
        yield b"first half"
        os._exit(9)

store = FileStore(Path(sys.argv[1]), reserve_bytes=0)
store.write_received(Pieces(), sha256=sys.argv[2])
"""


def test_what_a_crash_left_of_an_image_is_replaced_when_it_comes_again(store: FileStore) -> None:
    command = [sys.executable, "-c", CRASH, str(store.root), DIGEST]
    assert subprocess.run(command, check=False, cwd=REPOSITORY).returncode == 9
    assert files_of(store) == [store.path_of_received(DIGEST)]
    assert store.read(store.path_of_received(DIGEST)) != b"data set"
    assert store.read(store.write_received([b"data set"], sha256=DIGEST)) == b"data set"
    assert files_of(store) == [store.path_of_received(DIGEST)]


def test_a_half_written_result_is_swept_once_it_is_old(store: FileStore) -> None:
    result = store.path(store.write_result(b"one", job_id=7).path)
    result.rename(result.with_name("x.part"))
    now = datetime.now(UTC)
    assert store.sweep_parts(now=now) == 0
    assert store.sweep_parts(now=now + timedelta(hours=2)) == 1
    assert files_of(store) == []


def test_results_of_one_job_never_overwrite_each_other(store: FileStore) -> None:
    first = store.write_result(b"one", job_id=7)
    second = store.write_result(b"two", job_id=7)
    assert first.path.startswith("results/7/")
    assert first.path != second.path
    assert first.sha256 == hashlib.sha256(b"one").hexdigest()
    assert first.num_bytes == 3
    assert store.path(first.path).read_bytes() == b"one"


def test_a_quarantined_file_is_moved_and_moving_it_again_does_no_harm(store: FileStore) -> None:
    relative = store.write_received([b"x"], sha256=DIGEST)
    aside = store.quarantine(relative)
    assert aside == f"quarantine/{DIGEST}.dcm"
    assert store.quarantine(relative) == aside
    assert files_of(store) == [aside]


def test_what_was_never_written_cannot_be_quarantined(store: FileStore) -> None:
    with pytest.raises(StorageError, match="ENOENT"):
        store.quarantine("received/00/x.dcm")


def age(store: FileStore, relative: str, *, hours: float) -> None:
    moment = (NOW - timedelta(hours=hours)).timestamp()
    os.utime(store.path(relative), (moment, moment))


def test_a_removed_file_is_gone_and_removing_it_again_does_no_harm(store: FileStore) -> None:
    relative = store.write_received([b"xyz"], sha256=DIGEST)
    age(store, relative, hours=2)
    assert store.remove(relative, unless_since=NOW) == 3
    assert store.remove(relative, unless_since=NOW) == 0
    assert files_of(store) == []


def test_a_file_that_was_written_since_is_not_removed(store: FileStore) -> None:
    relative = store.write_received([b"x"], sha256=DIGEST)
    assert store.remove(relative, unless_since=NOW - timedelta(hours=1)) == 0
    assert files_of(store) == [relative]


def test_a_file_that_is_written_while_it_is_removed_is_put_back(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    relative = store.write_received([b"old"], sha256=DIGEST)
    age(store, relative, hours=2)
    replace = Path.replace

    def write_then_replace(path: Path, target: Path) -> Path:
        if target.name.endswith(".aside"):
            path.write_bytes(b"new")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", write_then_replace)
    assert store.remove(relative, unless_since=NOW - timedelta(minutes=5)) == 0
    assert store.path(relative).read_bytes() == b"new"
    assert files_of(store) == [relative]


def test_what_a_crash_left_aside_is_put_back(store: FileStore) -> None:
    relative = store.write_received([b"x"], sha256=DIGEST)
    store.path(relative).rename(store.path(relative + ".aside"))
    assert store.put_back() == 1
    assert files_of(store) == [relative]
    assert store.put_back() == 0


def test_received_files_are_listed_by_age(store: FileStore) -> None:
    old = store.write_received([b"x"], sha256=DIGEST)
    young = store.write_received([b"y"], sha256="b" * 64)
    store.write_result(b"z", job_id=1)
    age(store, old, hours=2)
    assert list(store.received(before=NOW - timedelta(hours=1))) == [old]
    assert sorted(store.received(before=NOW + timedelta(hours=1))) == sorted([old, young])


def test_scratch_of_a_job_goes_and_its_results_stay(store: FileStore) -> None:
    store.write_result(b"1234", job_id=1, suffix=".npz")
    kept = [store.write_result(b"r", job_id=1), store.write_result(b"5", job_id=2, suffix=".npz")]
    assert store.remove_scratch(1) == 4
    assert store.remove_scratch(1) == store.remove_scratch(99) == 0
    assert files_of(store) == sorted(each.path for each in kept)


def test_little_free_space_is_told_before_anything_is_written(tmp_path: Path) -> None:
    store = FileStore(tmp_path, reserve_bytes=1 << 62)
    with pytest.raises(StorageFullError, match="reserve_bytes"):
        store.check_space()
    FileStore(tmp_path, reserve_bytes=0).check_space()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the full device of Linux")
def test_a_full_disk_is_told_apart_and_leaves_nothing(store: FileStore) -> None:
    def pieces() -> Iterator[bytes]:
        with Path("/dev/full").open("wb", buffering=0) as full:
            yield b"x"
            full.write(b"x")

    with pytest.raises(StorageFullError):
        store.write_received(pieces(), sha256=DIGEST)
    assert files_of(store) == []


@pytest.mark.parametrize("relative", ["../x", "/etc/passwd", "received/../../x", ".", ""])
def test_a_path_out_of_the_store_is_refused(store: FileStore, relative: str) -> None:
    with pytest.raises(StorageError, match="leads out"):
        store.path(relative)


def test_a_link_out_of_the_store_is_refused(store: FileStore, tmp_path: Path) -> None:
    (store.root / "link").symlink_to(tmp_path)
    with pytest.raises(StorageError, match="leads out"):
        store.path("link/x")


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.sampled_from(["..", ".", "a", "received", "/", ""]), max_size=6))
def test_no_path_leaves_the_store(store: FileStore, parts: list[str]) -> None:
    try:
        path = store.path("/".join(parts))
    except StorageError:
        return
    assert path.is_relative_to(store.root)
