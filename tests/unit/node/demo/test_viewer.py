"""The viewer's programs are found, or one line says what is missing; no server is started."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from config.errors import UsageError
from node.cli import app
from node.demo import viewer

PLUGIN = Path("share", "orthanc", "plugins", "libOrthancDicomWeb.so")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which nothing is installed; its PATH is ``sbin``."""
    monkeypatch.setattr(viewer, "SERVERS", ())
    monkeypatch.setenv("PATH", str(tmp_path / "sbin"))
    return tmp_path


def install(machine: Path, *files: str) -> None:
    for file in files:
        path = machine / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o755)


def test_all_is_found_where_debian_has_it(machine: Path) -> None:
    install(machine, "sbin/Orthanc", "sbin/nginx", str(PLUGIN), "ohif/index.html")
    tools = viewer.find_tools(machine / "ohif", None)
    assert tools.orthanc == machine / "sbin" / "Orthanc"
    assert tools.dicomweb == machine / PLUGIN


def test_what_is_missing_is_named_in_one_line(machine: Path) -> None:
    install(machine, "sbin/nginx")
    with pytest.raises(UsageError) as raised:
        viewer.find_tools(None, None)
    for part in ("Orthanc,", "DICOMweb plugin", "OHIF", "docs/viewer.md"):
        assert part in str(raised.value)
    assert "nginx" not in str(raised.value)


def test_a_folder_without_the_viewer_is_no_viewer(machine: Path) -> None:
    install(machine, "sbin/Orthanc", "sbin/nginx", "plugin.so")
    with pytest.raises(UsageError, match="OHIF"):
        viewer.find_tools(machine, machine / "plugin.so")


def test_the_command_says_it_before_it_touches_a_folder(machine: Path) -> None:
    said = CliRunner().invoke(app, ["demo", "--viewer", "--out", str(machine / "demo")])
    assert said.exit_code == 2
    assert said.stderr.startswith("midline: the viewer needs what was not found: Orthanc, nginx,")
    assert not (machine / "demo").exists()
