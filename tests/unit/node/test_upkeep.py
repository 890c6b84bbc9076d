"""Files of the store against what the index says of them."""

from pathlib import Path

import pytest

from node.part10 import preceding
from node.reception import Request
from node.upkeep import check_files
from storage.files import FileStore
from storage.upkeep import KnownFile

DATA_SET = b"data set as it was received" * 3
CT_IMAGE, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "files", reserve_bytes=0)


@pytest.fixture
def received(store: FileStore) -> KnownFile:
    import hashlib

    sha256 = hashlib.sha256(DATA_SET).hexdigest()
    request = Request(CT_IMAGE, "1.2.3", EXPLICIT, DATA_SET)
    content = preceding(request, calling_ae_title="CT1") + DATA_SET
    path = store.write_received([content], sha256=sha256)
    return KnownFile(path, sha256, len(content))


@pytest.fixture
def result(store: FileStore) -> KnownFile:
    stored = store.write_result(b"a report", job_id=1)
    return KnownFile(stored.path, stored.sha256, None)


def test_whole_files_are_sound(store: FileStore, received: KnownFile, result: KnownFile) -> None:
    found = check_files([received, result], store, digests=True)
    assert found.is_sound
    assert found.num_files == 2


def test_a_missing_file_is_told(store: FileStore, received: KnownFile) -> None:
    store.path(received.path).unlink()
    assert check_files([received], store, digests=False).missing == (received.path,)


def test_a_shorter_file_is_told_by_its_size(store: FileStore, received: KnownFile) -> None:
    path = store.path(received.path)
    path.write_bytes(path.read_bytes()[:-1])
    assert check_files([received], store, digests=False).altered == (received.path,)


@pytest.mark.parametrize("kind", ["received", "result"])
def test_a_changed_byte_is_told_by_the_digest(
    store: FileStore, kind: str, request: pytest.FixtureRequest
) -> None:
    known: KnownFile = request.getfixturevalue(kind)
    path = store.path(known.path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert check_files([known], store, digests=False).is_sound
    assert check_files([known], store, digests=True).altered == (known.path,)
