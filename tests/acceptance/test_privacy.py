"""Nothing that leaves the node's store names a patient, even at the DEBUG level."""

import subprocess
from pathlib import Path

import pytest

from tests.support.ct_series import head_series, stack
from tests.support.pacs import running_pacs
from tests.support.sender import request_for, store, store_raw
from tests.support.service import program, running_service
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CANARY = "CANARYPATIENT"


def test_no_log_line_and_no_command_names_a_patient(tmp_path: Path) -> None:
    images = head_series(
        stack(),
        PatientName=f"{CANARY}^NAME",
        PatientID=CANARY,
        AccessionNumber=CANARY,
        StudyDescription=f"CT head {CANARY}",
        ReferringPhysicianName=f"{CANARY}^DOCTOR",
    )
    with (
        running_pacs() as pacs,
        running_service(tmp_path, pacs.peer, log={"level": "DEBUG"}) as service,
    ):
        assert store(service.peer, images[1:]) == [0] * (len(images) - 1)
        cut = request_for(images[0])
        store_raw(service.peer, request_for(images[0], data_set=cut.data_set[:-9]), tmp_path)
        images[1].PatientID = f"{CANARY}2"
        store(service.peer, images[1:2])
        eventually(lambda: pacs.of_modality("SR"), seconds=120)
        shown = [
            subprocess.run([*program(service.config), *words], capture_output=True, check=True)
            for words in (["status"], ["queue", "list"], ["queue", "show", "1"])
        ]
        processes = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in (*service.children(),)]
    log = (tmp_path / "node.log").read_bytes()
    assert b"DEBUG" in log
    for text in (log, *processes, *(done.stdout + done.stderr for done in shown)):
        assert CANARY.encode() not in text
    assert CANARY in str(pacs.received[0].PatientName)
