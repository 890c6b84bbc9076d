"""The site's key is made once, is nobody else's, and is never replaced in silence."""

import threading
from pathlib import Path

import pytest

from config.errors import StorageError
from storage import secret


def test_the_key_is_made_once_for_this_user_alone(tmp_path: Path) -> None:
    key = secret.read_or_make(tmp_path)
    assert secret.read_or_make(tmp_path) == key
    assert [path.name for path in tmp_path.iterdir()] == ["site.key"]
    assert (tmp_path / "site.key").stat().st_mode & 0o777 == 0o600
    assert len(key) == 32


def test_two_sites_have_two_keys(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert secret.read_or_make(tmp_path / "a") != secret.read_or_make(tmp_path / "b")


def test_processes_that_begin_at_once_have_the_same_key(tmp_path: Path) -> None:
    keys = []
    ready = threading.Barrier(8)

    def start() -> None:
        ready.wait()
        keys.append(secret.read_or_make(tmp_path))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1


@pytest.mark.parametrize("text", ["", "abcd", "no key at all", "é" * 64])
def test_a_damaged_key_is_refused_and_kept(tmp_path: Path, text: str) -> None:
    (tmp_path / "site.key").write_text(text)
    with pytest.raises(StorageError, match=r"site\.key"):
        secret.read_or_make(tmp_path)
    assert (tmp_path / "site.key").read_text() == text
