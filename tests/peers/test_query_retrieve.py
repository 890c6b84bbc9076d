"""Studies of which the node got a part, counted at and completed from archives of others."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from node.peers import Caller, Peer
from node.query import querying
from tests.integration.test_completeness import PATIENT
from tests.support.completing import Completing, completing
from tests.support.ct_series import head_series, stack, write
from tests.support.pacs import free_port
from tests.support.peers_kit import peers
from tests.support.sender import TIMEOUTS, store

pytestmark = [pytest.mark.peers, pytest.mark.timeout(300)]

NAME = "midline-query"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
NUM_IMAGES, NUM_SENT = 13, 5


def head(name: str, **attributes: object) -> list[Dataset]:
    heights = [10.0 * index for index in range(NUM_IMAGES)]
    return head_series(stack(heights, size=16, pixel_mm=14.0), name=name, **attributes)


@contextmanager
def holding(server: str, node_port: int, folder: Path, *images: list[Dataset]) -> Iterator[Peer]:
    """Start an archive of the kit that knows the node, and fill it over one association."""
    described = peers(
        server, "start", "--name", NAME, "--peer", f"node=MIDLINE@127.0.0.1:{node_port}"
    )[0]
    peer = Peer(described["aet"], "127.0.0.1", described["dicom_port"])
    try:
        write([image for each in images for image in each], folder)
        (sent,) = peers("send", folder, "--to", peer)
        assert sent["failures"] == 0
        yield peer
    finally:
        peers(server, "stop", "--name", NAME)


@contextmanager
def node_beside(folder: Path, archive: Peer, port: int, retrieve: str) -> Iterator[Completing]:
    query: dict[str, Any] = {
        "ae_title": archive.ae_title,
        "host": archive.host,
        "port": archive.port,
    }
    senders = (
        {"ae_title": "CT1", "query": query | {"retrieve": retrieve}},
        {"ae_title": archive.ae_title},
    )
    with completing(folder, completion=PATIENT, senders=senders, node={"port": port}) as node:
        yield node


@pytest.mark.parametrize("retrieve", ["GET", "MOVE"])
@pytest.mark.parametrize("server", ["pacs", "archive"])
def test_what_was_not_sent_is_counted_and_fetched(
    tmp_path: Path, server: str, retrieve: str
) -> None:
    port = free_port()
    images, others = head("a/1"), head("a/2", SeriesNumber=3)
    study, series = str(images[0].StudyInstanceUID), str(images[0].SeriesInstanceUID)
    with holding(server, port, tmp_path / "images", images, others) as archive:
        with querying(archive, caller=Caller("MIDLINE", TIMEOUTS)) as asked:
            counted = asked.count_images(study)
            listed = asked.list_images(study, [series], sop_class_uids=[CT_IMAGE])
        assert set(counted.values()) <= {NUM_IMAGES, None}
        assert len(counted) == 2
        assert listed == {series: {str(image.SOPInstanceUID) for image in images}}
        with node_beside(tmp_path / "node", archive, port, retrieve) as node:
            store(node.peer, images[:NUM_SENT])
            complete = node.completed(study)
    uids = {str(image.SOPInstanceUID) for image in (*images, *others)}
    assert {instance.sop_instance_uid for instance in complete.instances} == uids
    assert complete.evidence == f"26 images, as many as by C-FIND of {archive.ae_title}"
