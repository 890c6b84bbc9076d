"""What stands for a patient tells patients apart, and says nothing to whoever lacks the key."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from config.errors import StorageError
from node.pseudonyms import PREFIX, adopt, digest_of, keyed, patient_key
from storage.database import Database
from storage.files import FileStore
from tests.support.databases import url_in
from tests.support.received import NOW, received

KEY, OTHER_KEY = b"k" * 32, b"o" * 32


def header(patient_id: str, issuer: str | None = None) -> Dataset:
    ds = Dataset()
    ds.PatientID = patient_id
    if issuer is not None:
        ds.IssuerOfPatientID = issuer
    return ds


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(url_in(tmp_path))
    yield database
    database.close()


@pytest.fixture
def files(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "files", reserve_bytes=0)


def test_patients_and_sites_are_told_apart() -> None:
    headers = [header("1"), header("2"), header("1", "A"), header("1", "B")]
    keys = {patient_key(each, site_key=key) for each in headers for key in (KEY, OTHER_KEY)}
    assert len(keys) == 8
    assert all(key.startswith(PREFIX) and len(key) <= 128 for key in keys)
    assert patient_key(header(" 1 "), site_key=KEY) == patient_key(header("1"), site_key=KEY)


def test_trying_all_identifiers_does_not_undo_a_key() -> None:
    key = patient_key(header("4711"), site_key=KEY)
    guesses = {hashlib.sha256(f"\0{number}".encode()).hexdigest() for number in range(10_000)}
    assert digest_of(header("4711")) in guesses
    assert key.removeprefix(PREFIX) not in guesses


def test_what_an_earlier_version_kept_is_keyed_and_still_knows_its_patient(
    database: Database, files: FileStore
) -> None:
    plain = digest_of(header("4711", "A"))
    with database.begin() as transaction:
        transaction.studies.register(received(patient=plain), now=NOW)
    adopt(database, files)
    adopt(database, files)
    with database.begin() as transaction:
        study = transaction.studies.find("2.25.1")
        assert study is not None
        assert study.patient_key == patient_key(header("4711", "A"), site_key=files.site_key)
        late = received(2, patient=keyed(plain, site_key=files.site_key))
        assert transaction.studies.register(late, now=NOW).is_new


def test_an_index_whose_key_is_gone_is_not_gone_on_with(
    database: Database, files: FileStore
) -> None:
    with database.begin() as transaction:
        transaction.studies.register(received(patient=PREFIX + "0" * 64), now=NOW)
    with pytest.raises(StorageError, match=r"site\.key is missing"):
        adopt(database, files)
    assert not files.has_site_key
