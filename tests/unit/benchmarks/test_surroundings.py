from pathlib import Path

from benchmarks.surroundings import file_system_of

MOUNTS = "/dev/a / ext4 rw 0 0\nnone /var tmpfs rw 0 0\n/dev/b /var/data xfs rw 0 0\n"


def test_the_innermost_mount_counts() -> None:
    assert file_system_of(Path("/var/data/index"), MOUNTS) == "xfs"
    assert file_system_of(Path("/var/database"), MOUNTS) == "tmpfs"
    assert file_system_of(Path("/home"), MOUNTS) == "ext4"
