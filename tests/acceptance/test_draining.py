"""A drained node: it receives, works on nothing, and does it all once it is resumed."""

import subprocess
from pathlib import Path

import pytest

from tests.support.ct_series import head_series, stack
from tests.support.pacs import running_pacs
from tests.support.sender import store
from tests.support.service import Service, program, start_service, write_settings
from tests.support.waiting import eventually

SECONDS = 180.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(4 * SECONDS)]


def order(config: Path, *words: str) -> str:
    done = subprocess.run([*program(config), *words], capture_output=True, check=True, text=True)
    return done.stdout.strip()


def roles_at_work(service: Service) -> set[str]:
    return {each["role"] for each in service.command("status")["workers"]}


def test_a_drained_node_receives_and_works_on_it_after_a_restart_and_a_resume(
    tmp_path: Path,
) -> None:
    with running_pacs() as pacs:
        config, peer = write_settings(tmp_path, pacs.peer)
        service = start_service(config, peer, tmp_path / "node.log")
        try:
            order(config, "drain")
            images = head_series(stack(range(0, 150, 5), size=64, pixel_mm=3.6))
            assert set(store(peer, images)) == {0}
            (job,) = eventually(lambda: service.command("queue", "list"), seconds=SECONDS)
        finally:
            assert service.end() == 0
        service = start_service(config, peer, tmp_path / "node.log")
        try:
            eventually(lambda: {"analyse", "deliver"} <= roles_at_work(service), seconds=SECONDS)
            status = service.command("status")
            assert [drain["role"] for drain in status["draining"]] == ["analyse", "deliver"]
            assert status["jobs"]["QUEUED"] == 1
            assert status["oldest_waiting"]["job_id"] == job["id"]
            assert pacs.received == []
            order(config, "resume", "--role", "analyse")
            eventually(lambda: service.command("status")["jobs"]["SUCCEEDED"] == 1, seconds=SECONDS)
            assert pacs.received == []
            order(config, "resume")
            eventually(lambda: pacs.of_modality("SR"), seconds=SECONDS)
        finally:
            assert service.end() == 0
