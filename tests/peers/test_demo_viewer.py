"""The demo in Orthanc and OHIF, as a newcomer starts it: what is seen, and that all of it ends."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from node.results import codes
from tests.support.peers_kit import PEERS
from tests.support.waiting import eventually

pytestmark = [pytest.mark.peers, pytest.mark.slow, pytest.mark.timeout(600)]

HOME = Path(os.environ.get("PEERS_HOME") or Path(tempfile.gettempdir()) / "midline-peers")
OHIF = HOME / "ohif" / "package" / "dist"
SECONDS = 400.0
"""Enough for a busy machine; 2 cores that are free take 40 s."""


@dataclass(frozen=True)
class Demo:
    """A demo that is shown at this moment."""

    process: subprocess.Popen[str]
    folder: Path
    said: str

    def servers(self) -> list[str]:
        """Name the programs that run on files of the demo."""
        here = os.fsencode(self.folder)
        lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if _lives(path)]
        return [Path(os.fsdecode(line.split(b"\0")[0])).name for line in lines if here in line]


def _lives(path: Path) -> bool:
    try:
        return bool(path.read_bytes())
    except OSError:
        return False


def interrupt(process: subprocess.Popen[str]) -> None:
    """Do as a terminal does: tell all of them at once."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    if not OHIF.exists() or not Path("/usr/sbin/Orthanc").exists():
        pytest.skip("Orthanc and OHIF are not installed; `peers install --viewer` does it")
    folder = tmp_path_factory.mktemp("demo") / "shown"
    command = [
        sys.executable,
        "-m",
        "node.cli",
        "demo",
        "--viewer",
        "--ohif",
        OHIF,
        "--out",
        folder,
    ]
    with subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None
            said = ""
            while "Ctrl-C" not in said:
                line = process.stdout.readline()
                assert line, f"it ended; {said}"
                said += line
            yield Demo(process, folder, said)
        finally:
            interrupt(process)


def test_what_the_node_found_is_seen_in_the_browser(demo: Demo) -> None:
    url, study = re.findall(r"(http://\S+/)viewer\?StudyInstanceUIDs=(\S+)", demo.said)[0]
    job = {
        "url": url,
        "study": study,
        "out": str(demo.folder / "shot.png"),
        "modules": str(HOME / "npm"),
        "segmentation": "AI ICH segmentation - NOT FOR DIAGNOSIS",
        "report": None,
    }
    browser = ["node", PEERS.parent / "viewer.mjs", json.dumps(job)]
    done = subprocess.run(list(map(str, browser)), capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout)
    assert seen["error"] == ""
    assert {s["name"] for s in seen["segments"]} <= {t.label for t in codes.SUBTYPES.values()}
    assert seen["segments"]


def test_everything_ends_at_ctrl_c(demo: Demo) -> None:
    running = demo.servers()
    assert {"Orthanc", "nginx"} <= set(running)
    interrupt(demo.process)
    assert demo.process.wait(SECONDS) == 0
    eventually(lambda: demo.servers() == [], seconds=SECONDS)
