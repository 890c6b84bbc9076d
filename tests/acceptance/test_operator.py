"""What an operator does while the node runs: cancel, send again, analyse again."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from node.peers import Peer
from node.results import codes
from node.results.outcomes import Outcome
from tests.support.ct_series import head_series, stack
from tests.support.pacs import free_port, running_pacs
from tests.support.sender import store
from tests.support.service import Service, program, running_service
from tests.support.waiting import eventually

SECONDS = 180.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(4 * SECONDS)]


def order(service: Service, *words: str) -> str:
    """Run a command that writes one line."""
    done = subprocess.run(
        [*program(service.config), *words], capture_output=True, check=True, text=True
    )
    return done.stdout.strip()


@contextmanager
def analysing(service: Service, log: Path) -> Iterator[None]:
    """Run an analyser beside the service, as another host would."""
    with log.open("wb") as file:
        process = subprocess.Popen([*program(service.config), "analyse"], stdout=file, stderr=file)
    try:
        yield
    finally:
        process.terminate()
        assert process.wait(SECONDS) == 0


def predecessors(report: Dataset) -> set[str]:
    """SOP Instance UIDs of the reports that this one replaces."""
    return {
        sop.ReferencedSOPInstanceUID
        for item in report.get("PredecessorDocumentsSequence", [])
        for series in item.ReferencedSeriesSequence
        for sop in series.ReferencedSOPSequence
    }


def status_of(report: Dataset) -> str:
    """Meaning of Summary of Detections."""
    named: list[Dataset] = []

    def look(ds: Dataset, element: Any) -> None:
        if element.keyword == "ConceptNameCodeSequence" and codes.is_code(
            element.value[0], codes.SUMMARY_OF_DETECTIONS
        ):
            named.append(ds)

    report.walk(look)
    return str(named[0].ConceptCodeSequence[0].CodeMeaning)


def test_an_operator_cancels_sends_again_and_analyses_again(tmp_path: Path) -> None:
    pacs_port = free_port()
    with running_service(
        tmp_path,
        Peer("PACS", "127.0.0.1", pacs_port),
        analysis={"workers": 0},
        delivery={"give_up_hours": 1e-6},
    ) as service:
        images = head_series(stack(range(0, 150, 5), size=64, pixel_mm=3.6))
        assert set(store(service.peer, images)) == {0}
        (job,) = eventually(lambda: service.command("queue", "list"), seconds=SECONDS)
        number = str(job["id"])

        assert order(service, "queue", "cancel", number) == (
            f"job {number} is cancelled; its study gets a report that says so"
        )
        shown = eventually(lambda: dead(service, number), seconds=SECONDS)
        assert shown["state"] == "CANCELLED"
        assert [result["kind"] for result in shown["results"]] == ["PAGE", "SR"]

        with running_pacs(port=pacs_port) as pacs:
            order(service, "queue", "retry", number, "--deliveries")
            eventually(lambda: len(pacs.received) == 2, seconds=SECONDS)
            first = pacs.of_modality("SR")[0]
            assert status_of(first) == "Failed"

            assert order(service, "queue", "retry", number) == f"job {number} is queued for run 2"
            with analysing(service, tmp_path / "analyse.log"):
                eventually(lambda: len(pacs.of_modality("SR")) == 2, seconds=SECONDS)
            second = pacs.of_modality("SR")[-1]
            assert predecessors(second) == {first.SOPInstanceUID}
        shown = service.command("queue", "show", number)
        assert (shown["state"], shown["run"]) == ("SUCCEEDED", 2)
        assert shown["outcome"] in list(Outcome)


def dead(service: Service, job: str) -> Any:
    """Show a job once its deliveries were given up; None before."""
    shown = service.command("queue", "show", job)
    states = [delivery["state"] for delivery in shown["deliveries"]]
    return shown if states and set(states) == {"DEAD"} else None
