"""Results delivered to Orthanc by STOW-RS: what it holds, and what it gets after it was killed."""

import hashlib
import json
import os
import signal
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import SegmentationStorage

from config.settings import WebDestinationSettings
from node.delivery import HELD
from node.operating.probing import probe_service
from node.sending import Sent
from node.stow import send_by_stow
from storage.records import DeliveryState
from tests.integration.test_analysis import Site as AnalysingSite
from tests.integration.test_analysis import bleeding
from tests.integration.test_delivery import SiteMaker
from tests.integration.test_delivery import site as site  # noqa: PLC0414 - the fixture
from tests.integration.test_ladder import Sender
from tests.integration.test_ladder import site as analysing_site  # noqa: F401 - the fixture
from tests.support.parcels import written
from tests.support.peers_kit import peers
from tests.support.waiting import eventually

pytestmark = [pytest.mark.peers, pytest.mark.timeout(600)]

NAME = "midline-dicomweb"
PENDING, SENT = DeliveryState.PENDING, DeliveryState.SENT


@dataclass
class Orthanc:
    """A server that can be killed and started again with what it held."""

    described: dict[str, Any]

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.described['http_port']}"

    @property
    def url(self) -> str:
        return f"{self.http}/dicom-web"

    def get(self, path: str) -> bytes:
        port = self.described["http_port"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}") as answer:
            return bytes(answer.read())

    def sha256_by_uid(self) -> dict[str, str]:
        """Digest of each file that it holds, by SOP Instance UID."""
        return {
            each["MainDicomTags"]["SOPInstanceUID"]: hashlib.sha256(
                self.get(f"instances/{each['ID']}/file")
            ).hexdigest()
            for each in json.loads(self.get("instances?expand"))
        }

    def kill(self) -> None:
        os.kill(self.described["pid"], signal.SIGKILL)
        eventually(lambda: not _is_running(self.described["pid"]))

    def start_again(self) -> None:
        ports = ("--port", self.described["dicom_port"], "--http-port", self.described["http_port"])
        self.described = peers("pacs", "start", "--name", NAME, "--keep", *ports)[0]


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.fixture(scope="module")
def orthanc() -> Iterator[Orthanc]:
    yield Orthanc(peers("pacs", "start", "--name", NAME)[0])
    peers("pacs", "stop", "--name", NAME)


def test_it_holds_every_kind_byte_by_byte(
    orthanc: Orthanc,
    analysing_site: AnalysingSite,  # noqa: F811
) -> None:
    sender = Sender(analysing_site, orthanc.url, overlay=True, key_objects=True)
    job_id = sender.deliver(bleeding())
    deliveries = sender.deliveries(job_id)
    assert {each.state for each in deliveries} == {SENT}
    assert {each.kind for each in deliveries} == {"SEG", "PAGE", "OVERLAY", "KOS", "SR"}
    results = analysing_site.results(job_id)
    held = orthanc.sha256_by_uid()
    assert {held[each.sop_instance_uid] for each in results} == {each.sha256 for each in results}
    assert sender.refused() == frozenset()


def test_what_it_holds_already_counts_as_arrived(orthanc: Orthanc, tmp_path: Path) -> None:
    parcels = [written(tmp_path, number, "SEG", SegmentationStorage) for number in (1, 2)]
    destination = WebDestinationSettings(name="web", url=orthanc.url)
    for _ in range(2):
        sent = send_by_stow(parcels, destination, on_arrival=lambda _: None)
        assert sent == Sent(arrived=(1, 2))
    assert {"2.25.1", "2.25.2"} <= orthanc.sha256_by_uid().keys()


def test_what_waits_while_it_is_killed_arrives_when_it_is_back(
    orthanc: Orthanc, site: SiteMaker
) -> None:
    there = site(orthanc.url)
    orthanc.kill()
    there.send()
    assert there.states() == [PENDING, PENDING]
    assert f"no connection with {orthanc.url}" in (there.deliveries()[0].last_error or "")
    orthanc.start_again()
    there.send(attempt=2)
    assert there.states() == [SENT, SENT]
    orthanc.kill()
    orthanc.start_again()
    held = orthanc.sha256_by_uid()
    assert {each.sop_instance_uid for each in there.deliveries()} <= held.keys()


def test_a_wrong_path_is_held_and_told(orthanc: Orthanc, site: SiteMaker) -> None:
    there = site(f"{orthanc.http}/dicomweb")
    there.send()
    assert there.states() == [PENDING, PENDING]
    assert (there.deliveries()[0].last_error or "").startswith(f"{HELD}: ")
    assert "HTTP 404 Not Found" in (there.deliveries()[0].last_error or "")


def test_it_answers_the_question_of_a_person(orthanc: Orthanc) -> None:
    probe = probe_service(WebDestinationSettings(name="web", url=orthanc.url))
    assert not probe.remark
