"""What a process says and does when its settings are read again."""

import logging
from pathlib import Path

import pytest

from config.errors import SettingsError
from config.settings import Settings, load_settings
from node.reloading import Reloader, Source


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "site.toml"
    path.write_text("[analysis]\ndevice = 'cpu'\n", encoding="utf-8")
    return path


def test_nothing_is_read_before_it_is_asked_for_and_then_once(path: Path) -> None:
    applied: list[Settings] = []
    source = Source(path)
    reloader = Reloader(source, load_settings(path), applied.append)
    assert not reloader.look()
    path.write_text("[retention]\nkeep_days = 3.0\n", encoding="utf-8")
    source.asked.set()
    assert reloader.look()
    assert not reloader.look()
    assert [each.retention.keep_days for each in applied] == [3.0]
    assert applied[0].analysis.device == "cpu"


def test_what_cannot_be_applied_changes_nothing_and_is_tried_at_the_next_time(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    refusals = [SettingsError("a certificate that is expired")]

    def apply(_: Settings) -> None:
        if refusals:
            raise refusals.pop()

    reloader = Reloader(Source(path), load_settings(path), apply)
    path.write_text("[retention]\nkeep_days = 3.0\n", encoding="utf-8")
    assert not reloader.reload()
    caplog.set_level(logging.INFO, "node.reloading")
    assert reloader.reload()
    assert "retention.keep_days changed" in caplog.messages[-1]


def test_what_the_command_line_decides_is_no_change(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "node.reloading")
    settings = Settings.model_validate({"analysis": {"device": "cuda:1"}})
    source = Source(path, overridden=frozenset({"analysis.device"}))
    assert Reloader(source, settings, lambda _: None).reload()
    assert caplog.messages == ["the settings were read again: nothing changed"]
