"""A file is whole on the disk with its name, or its writing fails and leaves nothing."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage import durable
from storage.durable import BLOCK_BYTES, BUFFER_BYTES, filesystem_of, write_new, write_over

MOUNTS = """\
22 1 254:0 / / rw,relatime - ext4 /dev/root rw
30 22 0:26 / /srv/a\\040b rw shared:9 - nfs4 server:/export rw
31 22 0:27 / /srv rw - tmpfs tmpfs rw
32 30 0:28 / /srv/a\\040b/local rw - xfs /dev/sdb rw
33 22 0:29 / /srv rw - btrfs /dev/sdc rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/var/lib/midline", "ext4"),
        ("/srv", "btrfs"),
        ("/srvx", "ext4"),
        ("/srv/a b/received", "nfs4"),
        ("/srv/a b/local/received", "xfs"),
    ],
)
def test_the_deepest_and_latest_mount_tells_the_file_system(folder: str, kind: str) -> None:
    assert filesystem_of(Path(folder), MOUNTS) == kind


def test_a_file_system_that_cannot_be_told_gets_its_folder_forced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "MOUNTS", tmp_path / "none")
    monkeypatch.setattr(durable, "sync_folder", (forced := []).append)
    durable.keeps_names.cache_clear()
    write_new(tmp_path / "image", [b"x"])
    durable.keeps_names.cache_clear()
    assert forced == [tmp_path]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    sizes=st.lists(
        st.one_of(
            st.integers(0, 3 * BLOCK_BYTES),
            st.sampled_from([BLOCK_BYTES, BUFFER_BYTES - 1, BUFFER_BYTES, BUFFER_BYTES + 1]),
        ),
        max_size=4,
    ),
    is_direct=st.booleans(),
)
def test_what_is_read_is_what_was_written(
    tmp_path: Path, sizes: list[int], *, is_direct: bool
) -> None:
    pieces = [os.urandom(size) for size in sizes]
    path = tmp_path / "image"
    path.unlink(missing_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        if not is_direct:
            patch.setattr(durable, "takes_direct", lambda _: False)
        write_new(path, pieces)
    assert path.read_bytes() == b"".join(pieces)


def test_a_disk_with_larger_blocks_is_written_by_way_of_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, refused = os.write, []

    def refuse_once(descriptor: int, content: memoryview) -> int:
        if not refused:
            refused.append(descriptor)
            raise OSError(errno.EINVAL, "Invalid argument")
        return write(descriptor, content)

    if not durable.takes_direct(tmp_path):
        pytest.skip("files here cannot be written past the page cache")
    monkeypatch.setattr(os, "write", refuse_once)
    write_new(tmp_path / "image", [b"x" * 5000])
    assert refused
    assert (tmp_path / "image").read_bytes() == b"x" * 5000


def test_a_file_that_is_there_is_never_written_into(tmp_path: Path) -> None:
    write_new(tmp_path / "image", [b"first"])
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "image", [b"second"])
    assert (tmp_path / "image").read_bytes() == b"first"


def test_who_fails_does_not_remove_what_somebody_else_wrote_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "image"

    def pieces() -> Iterator[bytes]:
        yield b"first half"
        write_over(path, [b"whole"])
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        write_new(path, pieces())
    assert path.read_bytes() == b"whole"
    assert [each.name for each in tmp_path.iterdir()] == ["image"]
