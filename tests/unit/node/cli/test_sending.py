"""Which files are found, who a peer is, and how files are shared out over associations."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID

from config.errors import UsageError
from node.cli.sending import (
    MEDIA_DIRECTORY,
    batches,
    describe,
    find_files,
    is_stored,
    parse_peer,
)
from node.hardening.bounds import MOST_CONTEXTS
from node.peers import Peer, StoreFile, contexts_for

RLE, EXPLICIT = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.1"
CT = "1.2.840.10008.5.1.4.1.1.2"


def write_file(path: Path, sop_class_uid: str = CT) -> None:
    """Write the head of a DICOM file; nobody here reads further."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class_uid)
    meta.MediaStorageSOPInstanceUID = UID("2.25.1")
    meta.TransferSyntaxUID = UID(EXPLICIT)
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta, enforce_standard=False)
    path.write_bytes(bytes(128) + b"DICM" + buffer.getvalue())


@pytest.mark.parametrize(
    ("text", "peer"),
    [
        ("PACS@10.0.0.5:104", Peer("PACS", "10.0.0.5", 104)),
        ("MY AE@host.example:11112", Peer("MY AE", "host.example", 11112)),
        ("A@B@host:1", Peer("A@B", "host", 1)),
        ("PACS@[::1]:104", Peer("PACS", "::1", 104)),
    ],
)
def test_a_peer_is_read(text: str, peer: Peer) -> None:
    assert parse_peer(text) == peer


@pytest.mark.parametrize(
    "text", ["", "PACS", "PACS@host", "host:104", "@host:104", "PACS@:104", "PACS@h:x", "PACS@h:²"]
)
def test_what_is_no_peer_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no peer"):
        parse_peer(text)


@pytest.mark.parametrize("port", ["0", "65536"])
def test_a_port_that_cannot_be_is_refused(port: str) -> None:
    with pytest.raises(UsageError, match="from 1 to 65535"):
        parse_peer(f"PACS@host:{port}")


def test_dicom_files_are_found_and_others_skipped(tmp_path: Path) -> None:
    write_file(tmp_path / "b" / "2.dcm")
    write_file(tmp_path / "a" / "without-suffix")
    write_file(tmp_path / "DICOMDIR", MEDIA_DIRECTORY)
    (tmp_path / "notes.txt").write_text("no images")
    (tmp_path / "empty.dcm").touch()
    found = [file.path.relative_to(tmp_path).as_posix() for file in find_files(tmp_path)]
    assert found == ["a/without-suffix", "b/2.dcm"]


def test_a_single_file_will_do(tmp_path: Path) -> None:
    write_file(tmp_path / "1.dcm")
    assert [file.sop_class_uid for file in find_files(tmp_path / "1.dcm")] == [CT]


def test_a_folder_without_dicom_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no DICOM file"):
        find_files(tmp_path)


@given(
    st.lists(
        st.tuples(st.integers(0, 90), st.sampled_from([RLE, EXPLICIT, "1.2.840.10008.1.2.4.90"])),
        max_size=300,
    )
)
def test_every_batch_fits_into_an_association(kinds: list[tuple[int, str]]) -> None:
    files = [
        StoreFile(Path(str(k)), f"1.2.3.{number}", syntax)
        for k, (number, syntax) in enumerate(kinds)
    ]
    parts = batches(files)
    assert all(len(contexts_for(part)) <= MOST_CONTEXTS for part in parts)
    assert sorted(file.path for part in parts for file in part) == sorted(f.path for f in files)


def test_more_kinds_than_an_association_holds_go_in_two_batches() -> None:
    files = [StoreFile(Path(str(k)), f"1.2.3.{k}", RLE) for k in range(65)]
    assert [len(part) for part in batches(files)] == [64, 1]


def test_files_of_one_kind_stay_in_order() -> None:
    files = [StoreFile(Path(name), CT, EXPLICIT) for name in ("c", "a", "b")]
    assert batches(files) == (tuple(files),)


@pytest.mark.parametrize(
    ("status", "words", "stored"),
    [
        (0x0000, "0x0000 success", True),
        (0xB007, "0xB007 warning", True),
        (0x0111, "0x0111 duplicate sop instance", False),
        (0xA700, "0xA700 out of resources", False),
        (0xC123, "0xC123", False),
    ],
)
def test_a_status_has_words_and_a_meaning(status: int, words: str, stored: bool) -> None:
    assert (describe(status), is_stored(status)) == (words, stored)
