"""Which settings hold, and who says so."""

from pathlib import Path

import pytest

from config.origins import HIDDEN, Origin, effective

FILE = """\
[node]
port = 104
[storage]
database_url = "postgresql+psycopg://midline:SECRET@db/midline"
[[senders]]
ae_title = "CT1"
[senders.query]
ae_title = "PACS"
host = "pacs"
port = 104
"""


def test_each_value_is_told_with_its_origin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "site.toml"
    path.write_text(FILE, encoding="utf-8")
    monkeypatch.setenv("MIDLINE_LOG__LEVEL", "DEBUG")
    monkeypatch.setenv("midline_results", '{"first_series_number": 8000}')
    found = {each.key: (each.value, each.origin) for each in effective(path)}
    assert found["node.port"] == (104, Origin.FILE)
    assert found["node.host"] == ("127.0.0.1", Origin.DEFAULT)
    assert found["log.level"] == ("DEBUG", Origin.ENVIRONMENT)
    assert found["results.first_series_number"] == (8000, Origin.ENVIRONMENT)
    assert found["results.description"] == ("AI ICH", Origin.DEFAULT)
    assert found["senders.0.ae_title"] == ("CT1", Origin.FILE)
    assert found["senders.0.may_store"] == (True, Origin.DEFAULT)
    assert found["senders.0.query.retrieve"] == ("GET", Origin.DEFAULT)
    assert "senders.0.event_reports" not in found


def test_a_secret_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(FILE, encoding="utf-8")
    found = {each.key: each.value for each in effective(path)}
    assert found["storage.database_url"] == HIDDEN
    assert "SECRET" not in str(found)


def test_the_environment_goes_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "site.toml"
    path.write_text(FILE, encoding="utf-8")
    monkeypatch.setenv("MIDLINE_NODE__PORT", "4242")
    found = {each.key: (each.value, each.origin) for each in effective(path)}
    assert found["node.port"] == (4242, Origin.ENVIRONMENT)
