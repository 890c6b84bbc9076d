"""The main job on real input: DCMTK sends a head, the node analyses it, Orthanc is told."""

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from config.errors import Reason
from node.peers import Peer
from node.results.read_report import Conclusion, read_report
from tests.support.service import Service, running_service
from tests.support.shared_data import shared_data
from tests.support.waiting import eventually

pytestmark = [pytest.mark.peers, pytest.mark.timeout(600)]

PEERS = Path(__file__).parents[3] / "shared" / "peers" / "peers"
NAME = "midline-test"


def peers(*words: object) -> Any:
    """Run a command of the peers' kit; what it printed as JSON."""
    done = subprocess.run([PEERS, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return [json.loads(line) for line in done.stdout.splitlines()]


@dataclass(frozen=True)
class Pacs:
    """Orthanc and its REST interface."""

    peer: Peer
    http_port: int

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/{path}") as answer:
            return bytes(answer.read())

    def files(self, folder: Path) -> dict[str, Path]:
        """Fetch every instance; file by modality."""
        folder.mkdir(exist_ok=True)
        files = {}
        for instance in json.loads(self.get("instances")):
            tags = json.loads(self.get(f"instances/{instance}/simplified-tags"))
            file = folder / f"{instance}.dcm"
            file.write_bytes(self.get(f"instances/{instance}/file"))
            files[tags["Modality"]] = file
        return files


@pytest.fixture
def pacs() -> Iterator[Pacs]:
    if not PEERS.exists():
        pytest.skip("the peers' kit is not beside this checkout")
    started = peers("pacs", "start", "--name", NAME)[0]
    yield Pacs(Peer(started["aet"], "127.0.0.1", started["dicom_port"]), started["http_port"])
    peers("pacs", "stop", "--name", NAME)


@pytest.fixture
def service(tmp_path: Path, pacs: Pacs) -> Iterator[Service]:
    with running_service(tmp_path, pacs.peer) as running:
        yield running


@pytest.mark.parametrize(
    ("folder", "reasons"),
    [
        # what the model says of a real head is for the benchmark to tell, and not for this test
        ("head_ct_ge", {None, Reason.BORDERLINE, Reason.QUALITY}),
        ("phantom_philips/S2010", {Reason.QUALITY}),
    ],
)
def test_a_real_series_sent_by_dcmtk_ends_in_valid_objects_in_orthanc(
    service: Service, pacs: Pacs, tmp_path: Path, folder: str, reasons: set[Reason | None]
) -> None:
    peers("send", shared_data(*folder.split("/")), "--to", service.peer)
    eventually(lambda: service.command("status")["destinations"][0]["num_sent"], seconds=120)
    files = pacs.files(tmp_path / "fetched")
    report = read_report(files["SR"])
    assert report.reason in reasons
    found = (Conclusion.POSITIVE, Conclusion.PARTLY_POSITIVE)
    assert ("SEG" in files) == (report.conclusion in found)
    for verdict in peers("validate", *files.values()):
        assert verdict["errors"] == [], verdict
