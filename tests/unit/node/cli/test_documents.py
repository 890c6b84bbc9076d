"""``midline conformance``: the document of the version, or that of a site."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from node.cli import app

DOCS = Path(__file__).parents[4] / "docs"
SITE = """
[node]
ae_title = "SOMEWHERE"
allowed_calling_ae_titles = ["CT_ROOM_1"]
[[destinations]]
name = "archive"
ae_title = "ARCHIVE7"
host = "archive.hospital.example"
port = 104
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), prog_name="midline")


def test_without_settings_the_environment_has_no_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIDLINE_IDENTITY__MANUFACTURER", "Somebody else")
    out = tmp_path / "air.md"
    result = run("conformance", "--air", "--out", str(out))
    assert (result.exit_code, result.stdout) == (0, "")
    assert out.read_bytes() == (DOCS / "air-capabilities.md").read_bytes()
    assert run("conformance", "--air", "--check", str(out)).exit_code == 0
    out.write_text(out.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    stale = run("conformance", "--air", "--check", str(out))
    assert stale.exit_code == 1
    assert stale.stderr.startswith(f"midline: {out} is not what this version writes")
    assert f"--out {out}" in stale.stderr


def test_a_site_gets_its_own_ae_titles_and_no_addresses(tmp_path: Path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text(SITE, encoding="utf-8")
    result = run("--config", str(config), "conformance")
    assert result.exit_code == 0
    assert result.stdout.startswith("<!-- Made by `midline conformance")
    for told in ("`SOMEWHERE`", "CT_ROOM_1", "`ARCHIVE7`", "the settings of one site"):
        assert told in result.stdout
    assert "hospital.example" not in result.stdout
    assert str(tmp_path) not in result.stdout


def test_writing_and_comparing_exclude_each_other(tmp_path: Path) -> None:
    (tmp_path / "a.md").touch()
    result = run("conformance", "--out", str(tmp_path / "b.md"), "--check", str(tmp_path / "a.md"))
    assert result.exit_code == 2
    assert result.stderr.startswith("midline: --out and --check exclude each other")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run("conformance", "--air", "--out", str(tmp_path / "file" / "x.md"))
    assert result.exit_code == 2
    assert "cannot be written (Not a directory)" in result.stderr
