"""The units of systemd: as systemd takes them, closed, and with commands that there are."""

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from config.checking import check
from node.cli.commands import COMMANDS

FOLDER = Path(__file__).parents[2] / "deploy" / "systemd"
SERVICES = sorted(FOLDER.glob("*.service"))
PROGRAM = "/opt/midline/bin/midline"
MOST_EXPOSED = "25"
"""Of 100; systemd calls up to 40 exposed to a medium degree, and most services have 90."""
CLOSED = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "RestrictNamespaces": "yes",
    "UMask": "0077",
    "User": "midline",
}

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


class Unit(configparser.RawConfigParser):
    """A unit file: its keys are told apart by case, and may be repeated."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def analyse(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *words], capture_output=True, check=False, text=True)


def sections(path: Path) -> configparser.RawConfigParser:
    parser = Unit(strict=False)
    parser.read(path, encoding="utf-8")
    return parser


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Units whose program is there."""
    for path in FOLDER.iterdir():
        text = path.read_text(encoding="utf-8").replace(PROGRAM, sys.executable)
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    return tmp_path


@needs_systemd
def test_systemd_finds_no_fault(installed: Path) -> None:
    paths = [str(path) for path in sorted(installed.iterdir())]
    done = analyse("verify", "--man=no", *paths)
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_systemd_finds_a_fault_where_there_is_one(installed: Path) -> None:
    path = installed / "midline.service"
    path.write_text(path.read_text().replace("Type=notify", "Tpye=notify"))
    assert "Tpye" in analyse("verify", "--man=no", str(path)).stderr


@needs_systemd
@pytest.mark.parametrize("path", SERVICES, ids=lambda path: str(path.name))
def test_a_unit_is_hardly_exposed(path: Path) -> None:
    done = analyse("security", "--offline=yes", f"--threshold={MOST_EXPOSED}", str(path))
    assert done.returncode == 0, done.stdout[-300:]


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: str(path.name))
def test_a_unit_is_closed_and_starts_a_command_that_there_is(path: Path) -> None:
    service = sections(path)["Service"]
    assert {key: service[key] for key in CLOSED} == CLOSED
    words = service["ExecStart"].split()
    assert words[:3] == [PROGRAM, "--config", "/etc/midline/midline.toml"]
    assert words[3] in COMMANDS
    allowed = {"", "CAP_NET_BIND_SERVICE"}
    assert service["CapabilityBoundingSet"] in allowed
    opens_a_port = words[3] in ("serve", "listen", "page")
    assert bool(service["CapabilityBoundingSet"]) is opens_a_port


def test_the_parts_and_the_whole_do_not_run_together() -> None:
    for path in SERVICES:
        unit = sections(path)["Unit"]
        is_part = path.name != "midline.service"
        assert (unit.get("PartOf") == "midline.target") is is_part
        assert (unit.get("Conflicts") == "midline.service") is is_part


def test_the_settings_that_the_installation_shows_are_in_order(tmp_path: Path) -> None:
    text = (FOLDER.parents[1] / "docs" / "installation.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        path = tmp_path / "midline.toml"
        path.write_text(block, encoding="utf-8")
        assert check(path) == ()


def test_the_installation_names_units_and_commands_that_there_are() -> None:
    text = (FOLDER.parents[1] / "docs" / "installation.md").read_text(encoding="utf-8")
    for unit in re.findall(r"midline-(\w+)(?:@\S+)?(?: |$|`)", text):
        if unit not in ("0", "NEW"):
            assert list(FOLDER.glob(f"midline-{unit}*.service")), unit
    for command in re.findall(r"midline\.toml (\w+)", text):
        assert command in COMMANDS
