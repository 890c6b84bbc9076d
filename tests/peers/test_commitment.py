"""Storage commitment with Orthanc: it commits to results, and asks the node to commit."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from config.settings import Settings
from node.caller import caller_of
from node.commitment.granting import Grantor
from node.peers import Peer
from storage.records import CommitmentState, DeliveryState
from tests.integration.test_delivery import Site
from tests.support.committed_site import CommittedSite
from tests.support.ct_series import even_heights, head_series, stack
from tests.support.destinations import settings_for
from tests.support.listening import listening
from tests.support.pacs import free_port
from tests.support.peers_kit import peers
from tests.support.sender import store
from tests.support.waiting import eventually

pytestmark = [pytest.mark.peers, pytest.mark.timeout(300)]

NAME = "midline-commitment"
IMAGES = head_series(stack(even_heights(4)), name="committed")
BOTH_SENT = [DeliveryState.SENT, DeliveryState.SENT]


@dataclass(frozen=True)
class Orthanc:
    """A running Orthanc and its REST interface."""

    peer: Peer
    http_port: int

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/{path}") as answer:
            return json.loads(answer.read())

    def post(self, path: str, body: object) -> Any:
        url, data = f"http://127.0.0.1:{self.http_port}/{path}", json.dumps(body).encode()
        with urllib.request.urlopen(url, data=data) as answer:
            return json.loads(answer.read())

    def delete(self, path: str) -> None:
        url = f"http://127.0.0.1:{self.http_port}/{path}"
        with urllib.request.urlopen(urllib.request.Request(url, method="DELETE")):
            pass


@contextmanager
def orthanc(node_port: int, *, name: str = NAME) -> Iterator[Orthanc]:
    """Run an Orthanc that knows the node under ``node``."""
    peer = f"node=MIDLINE@127.0.0.1:{node_port}"
    (started,) = peers("pacs", "start", "--name", name, "--peer", peer)
    try:
        yield Orthanc(
            Peer(started["aet"], "127.0.0.1", started["dicom_port"]), started["http_port"]
        )
    finally:
        peers("pacs", "stop", "--name", name)


def test_orthanc_commits_to_results_and_loses_one(tmp_path: Path) -> None:
    port = free_port()
    with orthanc(port) as archive:
        Site(tmp_path, settings_for(archive.peer)).close()
        sections = {"node": {"port": port}, "commitment": {"wait_on_association_seconds": 0.2}}
        pacs = settings_for(archive.peer, commitment="REQUIRED").destinations
        settings = Settings.model_validate(sections).model_copy(update={"destinations": pacs})
        there = CommittedSite(tmp_path, settings)
        try:
            with there.listening():
                there.send()
                eventually(lambda: there.are_all(CommitmentState.COMMITTED))
                assert there.states() == BOTH_SENT
                _asked_again_after_a_loss(there, archive)
        finally:
            there.close()


def _asked_again_after_a_loss(there: CommittedSite, archive: Orthanc) -> None:
    """Lose an object there, ask again: what is lost comes again, and is committed to."""
    lost, kept = there.deliveries()
    with there.database.begin() as transaction:
        ids = [lost.id, kept.id]
        transaction.commitments.end(ids, CommitmentState.FAILED, error="test")
        transaction.commitments.reopen(there.job_id, now=lost.opened_at)
    (found,) = archive.post(
        "tools/find", {"Level": "Instance", "Query": {"SOPInstanceUID": lost.sop_instance_uid}}
    )
    archive.delete(f"instances/{found}")
    there.send(attempt=2)
    pending = [DeliveryState.PENDING, DeliveryState.SENT]
    eventually(lambda: there.states() == pending)
    assert there.commitments() == [CommitmentState.NOT_ASKED, CommitmentState.COMMITTED]
    assert "0x0112" in there.errors()
    there.send(attempt=3)
    eventually(lambda: there.are_all(CommitmentState.COMMITTED))
    assert there.states() == BOTH_SENT
    assert len(archive.get("instances")) == 2


def test_orthanc_stores_and_asks_the_node_to_commit(tmp_path: Path) -> None:
    port = free_port()
    with orthanc(port) as sender:
        assert set(store(sender.peer, IMAGES)) == {0x0000}
        to = {"host": "127.0.0.1", "port": sender.peer.port}
        sections: dict[str, object] = {
            "commitment": {"offered": True},
            "senders": [{"ae_title": sender.peer.ae_title, "event_reports": to}],
        }
        with listening(tmp_path, node={"port": port}, **sections) as node:
            settings = Settings.model_validate(sections)
            stores = node.stores
            grantor = Grantor(stores.database, stores.files, stores.queues, settings)
            stored = sender.post(
                "modalities/node/store",
                {
                    "Resources": sender.get("studies"),
                    "StorageCommitment": True,
                    "Synchronous": True,
                },
            )
            assert len(node.kept()) == len(IMAGES)
            grantor.report(1, 1, caller_of(settings))
            uid = stored["StorageCommitmentTransactionUID"]
            report = eventually(lambda: _report(sender, uid))
            assert (report["Status"], len(report["Success"])) == ("Success", len(IMAGES))

            images = [[str(ds.SOPClassUID), str(ds.SOPInstanceUID)] for ds in IMAGES]
            other_class = ["1.2.840.10008.5.1.4.1.1.4", images[1][1]]
            unknown = [images[0][0], "2.25.404"]
            asked = sender.post(
                "modalities/node/storage-commitment",
                {"DicomInstances": [images[0], other_class, unknown]},
            )
            grantor.report(2, 1, caller_of(settings))
            report = eventually(lambda: _report(sender, asked["ID"]))
            assert report["Status"] == "Failure"
            assert len(report["Success"]) == 1
            reasons = {each["SOPInstanceUID"]: each["FailureReason"] for each in report["Failures"]}
            assert reasons == {other_class[1]: 0x0119, unknown[1]: 0x0112}


def _report(sender: Orthanc, transaction_uid: str) -> Any:
    """Read what Orthanc was told; nothing while it waits."""
    report = sender.get(f"storage-commitment/{transaction_uid}")
    return None if report["Status"] == "Pending" else report
