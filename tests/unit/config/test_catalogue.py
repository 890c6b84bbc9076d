"""What settings there are: the words for what each takes, its variable and its example."""

import json
import os
from typing import Any

import pytest

from config.catalogue import in_words, settings_of, tables_of
from config.example import as_toml, shown_value
from config.settings import Settings, load_settings

SETTINGS = {setting.key: setting for setting in settings_of(Settings)}


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("node.port", "whole number, at least 0, at most 65535"),
        ("log.level", "one of DEBUG, INFO, WARNING, ERROR"),
        ("tls.certificate", "path"),
        ("node.tls", "true or false"),
        ("delivery.jitter", "number, at least 0, at most 1"),
        ("senders.addresses", "list of: network, as 10.1.2.0/24 or network, as 2001:db8::/32"),
        (
            "analysis.minimum_ml",
            "table of IPH, IVH, EDH, SDH, SAH: number, at least 0, at most 100",
        ),
    ],
)
def test_what_a_setting_takes_is_said_in_words(key: str, values: str) -> None:
    assert SETTINGS[key].values == values


def test_every_setting_can_be_said_in_words_and_has_something_to_show() -> None:
    for setting in SETTINGS.values():
        assert setting.values not in ("", "value")
        assert shown_value(setting)


def test_a_schema_that_nobody_foresaw_is_a_value() -> None:
    assert in_words({}) == "value"


def test_tables_within_others_follow_them() -> None:
    names = [table.name for table in tables_of(Settings)]
    at = names.index("senders")
    assert names[at + 1 : at + 3] == ["senders.query", "senders.event_reports"]
    headers = {table.name: table.header for table in tables_of(Settings)}
    assert headers["senders"] == "[[senders]]"
    assert headers["senders.query"] == "[senders.query]"
    assert headers["node"] == "[node]"


def test_variables_are_those_that_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("node.port", "log.level", "analysis.minimum_ml"):
        setting = SETTINGS[key]
        value: Any = setting.default if setting.example is None else setting.example
        text = json.dumps(value) if isinstance(value, dict) else str(value)
        monkeypatch.setitem(os.environ, setting.variable, text)
        loaded = getattr(getattr(load_settings(), setting.table.name), setting.name)
        assert loaded == value
    assert SETTINGS["destinations.host"].variable == "MIDLINE_DESTINATIONS"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (0, "0"),
        (131072, "131_072"),
        (15.0, "15.0"),
        ('a"ä', '"a\\"ä"'),
        ((), "[]"),
        (("a", "b"), '["a", "b"]'),
        ({}, "{}"),
        ({"a": 1.5}, "{ a = 1.5 }"),
    ],
)
def test_values_are_written_as_toml(value: object, text: str) -> None:
    assert as_toml(value) == text
