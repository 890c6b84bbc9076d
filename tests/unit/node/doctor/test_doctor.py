"""Each fault of an installation, made once: found, and told with its mend as documented."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pydicom.uid import RLELossless
from typer.testing import CliRunner

from config.settings import load_settings
from ml.readers import samples
from ml.readers.codecs import claimed_syntaxes
from node.cli import app
from node.doctor import CHECKS, Ailment, Finding, Level, examine
from node.doctor.ports import holder_of
from node.documents.doctor import doctor_reference
from tests.support.pacs import free_port, running_pacs
from tests.support.waiting import eventually, port_is_open
from tests.unit.node.doctor.provoking import PROVOKED, Site, made_site

ROOT = Path(__file__).parents[4]
AILMENTS = {ailment.name: ailment for check in CHECKS for ailment in check.ailments}
REFERENCE = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with ExitStack() as stack:
        yield made_site(tmp_path, monkeypatch, stack)


def found_by(name: str, site: Site) -> list[Finding]:
    """Make the check that may find this; with faulty settings that is all of it."""
    kind = name.partition(".")[0]
    if kind == "settings":
        return list(examine(site.path))
    check = next(
        each for each in CHECKS if any(a.name.startswith(f"{kind}.") for a in each.ailments)
    )
    return list(check.look(load_settings(site.path)))


def pattern(text: str) -> str:
    """Make of words with braces what those words may become."""
    parts = re.split(r"\{[^}]*\}", text)
    return ".+".join(map(re.escape, parts))


@pytest.mark.parametrize("name", PROVOKED)
def test_a_fault_is_found_and_told_with_its_mend(name: str, site: Site) -> None:
    PROVOKED[name](site)
    ailment = AILMENTS[name]
    matching = [finding for finding in found_by(name, site) if finding.name == name]
    assert matching, name
    for finding in matching:
        assert finding.level is ailment.level
        assert finding.level is not Level.OK
        assert re.fullmatch(pattern(ailment.message), finding.message)
        assert re.fullmatch(pattern(ailment.mend), finding.mend)
        assert "\n" not in finding.message + finding.mend
        assert "must not be told" not in finding.message


def test_every_fault_that_may_be_found_was_made() -> None:
    assert set(PROVOKED) == set(AILMENTS)


@pytest.mark.parametrize("ailment", AILMENTS.values(), ids=lambda ailment: str(ailment.name))
def test_every_fault_is_documented(ailment: Ailment) -> None:
    (row,) = [line for line in REFERENCE.splitlines() if line.startswith(f"| `{ailment.name}` |")]
    cells = row.strip("| ").split(" | ")
    assert cells[1] == ailment.level
    for cell, text in zip(cells[2:], (ailment.message, ailment.mend), strict=True):
        assert re.fullmatch(pattern(text), cell)


def test_the_reference_in_the_repository_is_the_one_that_is_written() -> None:
    assert doctor_reference() == REFERENCE


def test_an_installation_in_order_has_no_faults(site: Site) -> None:
    with running_pacs() as pacs, site.database():
        peer = {"ae_title": pacs.peer.ae_title, "host": "127.0.0.1", "port": pacs.peer.port}
        site.tables["destinations"] = [{"name": "pacs", **peer}]
        found = list(examine(site.path))
    assert [each for each in found if each.level is not Level.OK] == []
    assert {each.check for each in found} == {check.name for check in CHECKS}
    assert not list(site.data.glob(".doctor*"))


def test_a_port_that_the_node_holds_is_in_order(site: Site, tmp_path: Path) -> None:
    port = free_port()
    program = tmp_path / "midline"
    program.write_text(
        "import socket, sys\n"
        f"held = socket.create_server(('127.0.0.1', {port}))\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, str(program)], stdin=subprocess.PIPE) as process:
        eventually(lambda: holder_of(port) == "midline")
        site.set("node", port=port)
        found = {each.message for each in found_by("ports.taken", site)}
        assert process.stdin is not None
        process.stdin.close()
    assert f"node.port: port {port} is held by the node itself" in found
    eventually(lambda: not port_is_open(port))


def test_there_is_a_sample_of_each_syntax_and_a_broken_one_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for syntax in claimed_syntaxes():
        assert samples.decodes(syntax), syntax.name
        assert (syntax in samples._ENCODED) is syntax.is_encapsulated
    swapped = bytearray(samples._ENCODED[RLELossless])
    swapped[-1] ^= 1
    monkeypatch.setitem(samples._ENCODED, RLELossless, bytes(swapped))
    assert not samples.decodes(RLELossless)


def test_the_exit_code_tells_whether_the_node_can_work(site: Site) -> None:
    site.set("storage", reserve_bytes=1 << 60)
    done = CliRunner().invoke(app, ["--config", str(site.path), "doctor", "--json"])
    assert done.exit_code == 1
    findings = json.loads(done.stdout)["findings"]
    assert [each["name"] for each in findings if each["level"] == "FAULT"] == ["disk.full"]
    site.set("storage", reserve_bytes=0)
    done = CliRunner().invoke(app, ["--config", str(site.path), "doctor"])
    assert done.exit_code == 0
    assert "WARNING" in done.stdout
