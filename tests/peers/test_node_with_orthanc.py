"""The main job on real input: DCMTK sends a head, the node analyses it, Orthanc is told."""

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import dcmread

from config.errors import Reason
from node.peers import Peer
from node.results.read_report import Conclusion, read_report
from tests.support.peers_kit import peers, started
from tests.support.service import Service, running_service
from tests.support.shared_data import shared_data, shared_files
from tests.support.waiting import eventually

pytestmark = [pytest.mark.peers, pytest.mark.timeout(600)]

NAME = "midline-test"


@dataclass(frozen=True)
class Pacs:
    """Orthanc and its REST interface."""

    peer: Peer
    http_port: int

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/{path}") as answer:
            return bytes(answer.read())

    def files(self, study_instance_uid: str, folder: Path) -> dict[str, Path]:
        """Fetch every instance of a study; file by modality."""
        folder.mkdir(exist_ok=True)
        files = {}
        for instance in json.loads(self.get("instances")):
            tags = json.loads(self.get(f"instances/{instance}/simplified-tags"))
            if tags["StudyInstanceUID"] == study_instance_uid:
                file = folder / f"{instance}.dcm"
                file.write_bytes(self.get(f"instances/{instance}/file"))
                files[tags["Modality"]] = file
        return files


@pytest.fixture(scope="module")
def pacs() -> Iterator[Pacs]:
    with started("pacs", NAME) as (peer, described):
        yield Pacs(peer, described["http_port"])


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, pacs: Pacs) -> Iterator[Service]:
    with running_service(tmp_path_factory.mktemp("node"), pacs.peer) as running:
        yield running


def num_sent(service: Service) -> int:
    """Count the results that arrived; 0 while others wait."""
    (backlog,) = service.command("status")["destinations"]
    return 0 if backlog["num_pending"] else int(backlog["num_sent"])


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
    source = shared_data(*folder.split("/"))
    before = num_sent(service)
    peers("send", source, "--to", service.peer)
    eventually(lambda: num_sent(service) > before, seconds=120)
    study = dcmread(shared_files(*folder.split("/"))[0], stop_before_pixels=True)
    files = pacs.files(str(study.StudyInstanceUID), tmp_path / "fetched")
    report = read_report(files["SR"])
    assert report.reason in reasons
    found = (Conclusion.POSITIVE, Conclusion.PARTLY_POSITIVE)
    assert ("SEG" in files) == (report.conclusion in found)
    for verdict in peers("validate", *files.values()):
        assert verdict["errors"] == [], verdict
