"""Where the same results end: in Orthanc, in DCMTK's archive, and at a peer of CT and SC alone."""

import json
import urllib.request
from collections import Counter
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import CTImageStorage, SecondaryCaptureImageStorage

from node.results.read_report import Conclusion, interpret_report
from storage.records import DeliveryState
from tests.integration.test_analysis import Site, bleeding, quiet
from tests.integration.test_ladder import Sender, kinds, referenced
from tests.integration.test_ladder import site as site  # noqa: PLC0414 - the fixture
from tests.support.pacs import running_pacs
from tests.support.peers_kit import started

pytestmark = [pytest.mark.peers, pytest.mark.timeout(600)]

NAME = "midline-interoperation"
EVERYTHING = {"overlay": True, "key_objects": True}
RICH = {"SEG": 1, "PAGE": 1, "KOS": 1, "SR": 1}


def sent_kinds(sender: Sender, job_id: int) -> Counter[str]:
    """Count what a destination took, by kind; nothing may be left or dead."""
    deliveries = sender.deliveries(job_id)
    assert {each.state for each in deliveries} <= {DeliveryState.SENT, DeliveryState.REPLACED}
    return Counter(each.kind for each in deliveries if each.state is DeliveryState.SENT)


def test_orthanc_gets_and_keeps_every_kind(site: Site) -> None:
    with started("pacs", NAME) as (peer, described):
        sender = Sender(site, peer, **EVERYTHING)
        took = sent_kinds(sender, sender.deliver(bleeding()))
        assert took.pop("OVERLAY") > 1
        assert took == RICH
        port = described["http_port"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/instances?expand") as answer:
            held = Counter(each["MainDicomTags"]["SOPInstanceUID"] for each in json.load(answer))
    ours = {each.sop_instance_uid for each in sender.deliveries(1)}
    assert set(held) == ours
    assert sender.refused() == frozenset()


def test_dcmtks_archive_keeps_bytes_that_say_the_same(site: Site) -> None:
    with started("archive", NAME) as (peer, described):
        sender = Sender(site, peer, **EVERYTHING)
        took = sent_kinds(sender, sender.deliver(bleeding()))
        sender.deliver(quiet("healthy"))
        folder = Path(str(described["folder"]))
        held = [dcmread(path) for path in folder.rglob("*") if path.name.startswith("SR")]
        conclusions = {interpret_report(report).conclusion for report in held}
    assert took.pop("OVERLAY") > 1
    assert took == RICH
    assert conclusions == {Conclusion.POSITIVE, Conclusion.NEGATIVE}


def test_a_peer_of_images_alone_gets_what_eyes_can_read(site: Site) -> None:
    with running_pacs(classes=(CTImageStorage, SecondaryCaptureImageStorage)) as pacs:
        sender = Sender(site, pacs.peer, **EVERYTHING)
        took = sent_kinds(sender, sender.deliver(bleeding()))
        assert set(kinds(pacs.received)) == {"OT page", "OT overlay"}
    assert set(took) == {"PAGE", "OVERLAY"}
    assert all(not referenced(image) for image in pacs.received)
