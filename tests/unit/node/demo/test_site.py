"""The demo's folder: it deletes nothing but what a demo made."""

from pathlib import Path

import pytest

from config.errors import UsageError
from config.settings import load_settings
from node.demo.site import MARK, claim, write_settings
from node.peers import Peer


def test_a_new_folder_is_made_and_marked(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "demo"
    claim(folder)
    assert [path.name for path in folder.iterdir()] == [MARK]


def test_an_empty_folder_may_be_used(tmp_path: Path) -> None:
    claim(tmp_path)
    assert (tmp_path / MARK).is_file()


def test_the_folder_of_an_earlier_demo_is_emptied(tmp_path: Path) -> None:
    claim(tmp_path / "demo")
    (tmp_path / "demo" / "old").mkdir()
    claim(tmp_path / "demo")
    assert not (tmp_path / "demo" / "old").exists()


def test_a_folder_that_no_demo_made_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="no demo made it"):
        claim(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is no folder"):
        claim(tmp_path / "file")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        claim(tmp_path / "file" / "demo")


def test_the_settings_hold_even_in_a_folder_with_a_strange_name(tmp_path: Path) -> None:
    folder = tmp_path / 'a "quoted" \\ café'
    claim(folder)
    settings = load_settings(write_settings(folder, destination=Peer("PACS", "127.0.0.1", 4242)))
    assert settings.storage.folder == (folder / "node").resolve()
    assert settings.node.port > 0
    assert settings.completion.quiet_after_release_seconds == 1.0
    assert [(d.name, d.port) for d in settings.destinations] == [("pacs", 4242)]
