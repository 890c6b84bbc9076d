"""A running ``midline serve`` takes new settings over at SIGHUP, in all of its processes."""

import signal
from pathlib import Path

import pytest

from node.listener import CT_IMAGE
from node.peers import Peer
from tests.support.ct_series import head_series, stack
from tests.support.pacs import running_pacs
from tests.support.sender import calling
from tests.support.service import running_service
from tests.support.waiting import eventually

SECONDS = 120.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2 * SECONDS)]


def test_a_new_destination_gets_the_next_study_and_nobody_is_cut_off(tmp_path: Path) -> None:
    log = tmp_path / "node.log"
    nobody = Peer("NOBODY", "127.0.0.1", 1)
    with running_pacs() as pacs, running_service(tmp_path, nobody) as service:
        before = service.children()
        eventually(lambda: log.read_text().count("working on the queue") == 2, seconds=SECONDS)
        *images, last = head_series(stack())
        with calling(service.peer, [CT_IMAGE]) as association:
            for image in images:
                assert association.send_c_store(image).Status == 0
            text = service.config.read_text()
            service.config.write_text(text + "[nonsense]\n")
            service.process.send_signal(signal.SIGHUP)
            eventually(lambda: "the settings stay as they were" in log.read_text())
            # the destination that nobody is becomes one that is there
            service.config.write_text(
                text.replace('"NOBODY"', '"PACS"').replace(
                    "port = 1\n", f"port = {pacs.peer.port}\n"
                )
            )
            service.process.send_signal(signal.SIGHUP)
            told = "the settings were read again: destinations changed"
            eventually(lambda: log.read_text().count(told) == 4)
            assert association.send_c_store(last).Status == 0
        eventually(lambda: pacs.of_modality("SR"), seconds=SECONDS)
        assert service.children() == before
        assert log.read_text().count("the settings stay as they were") == 1
