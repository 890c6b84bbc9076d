"""``midline config``: check, show, explain, and the two documents."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from node.cli import app
from node.documents.settings import settings_reference

ROOT = Path(__file__).parents[4]


def run(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, words)
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "site.toml"
    path.write_text("[node]\nport = 104\n", encoding="utf-8")
    return path


def test_a_sound_file_passes(site: Path) -> None:
    code, told, _ = run("--config", str(site), "config", "check")
    assert code == 0
    assert told == f"{site}: the settings are in order\n"


def test_each_fault_is_a_line_and_the_exit_code_tells(site: Path) -> None:
    site.write_text("[node]\nprot = 104\nmax_pdu_bytes = 3\n", encoding="utf-8")
    code, _, told = run("--config", str(site), "config", "check")
    assert code == 2
    lines = told.splitlines()
    assert len(lines) == 2
    assert f"midline: {site}:2: node.prot: unknown key; did you mean port?" in lines
    code, told, _ = run("--config", str(site), "config", "check", "--json")
    assert code == 2
    assert [each["place"] for each in json.loads(told)["faults"]] == [f"{site}:2", f"{site}:3"]


def test_what_a_start_would_refuse_is_a_fault(site: Path) -> None:
    bound = "[[senders]]\nae_title = 'CT1'\ncertificate_names = ['ct1']\n"
    site.write_text(bound, encoding="utf-8")
    code, _, told = run("--config", str(site), "config", "check")
    assert code == 2
    assert "sender 'CT1' is known by its certificate: node.tls is needed" in told


def test_what_holds_is_shown_with_its_origin(site: Path) -> None:
    code, told, _ = run("--config", str(site), "config", "show", "--json")
    assert code == 0
    shown = json.loads(told)
    assert shown["node.port"] == {"value": 104, "origin": "file"}
    assert shown["node.host"] == {"value": "127.0.0.1", "origin": "default"}
    code, told, _ = run("--config", str(site), "config", "show", "--given")
    assert "node.port" in told
    assert "node.host" not in told


def test_a_setting_is_explained() -> None:
    code, told, _ = run("config", "explain", "retention.keep_days")
    assert code == 0
    for said in ("for ever", "more than 0", "nothing", "MIDLINE_RETENTION__KEEP_DAYS"):
        assert said in told
    code, told, _ = run("config", "explain", "node.port", "--json")
    assert json.loads(told)["default"] == "11112"


def test_a_table_is_explained_by_its_settings() -> None:
    code, told, _ = run("config", "explain", "[log]")
    assert code == 0
    assert "never patient data" in told
    assert "level" in told


@pytest.mark.parametrize(
    ("key", "proposal"),
    [
        ("node.prt", "node.port"),
        ("keep_days", "retention.keep_days"),
        ("destination", "destinatio"),
    ],
)
def test_an_unknown_setting_is_answered_with_the_nearest(key: str, proposal: str) -> None:
    code, _, told = run("config", "explain", key)
    assert code == 2
    assert "did you mean" in told
    assert proposal in told


def test_the_example_in_the_repository_is_the_one_that_is_written(tmp_path: Path) -> None:
    out = tmp_path / "example.toml"
    code, _, _ = run("config", "example", "--out", str(out))
    assert code == 0
    assert out.read_bytes() == (ROOT / "config" / "midline.example.toml").read_bytes()


def test_the_reference_in_the_repository_is_the_one_that_is_written() -> None:
    assert settings_reference() == (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
