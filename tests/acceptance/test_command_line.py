"""The commands as processes: a node that serves and ends, tools against it, and mistakes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmwrite

from ml.phantom import Scan
from ml.volume import Subtype
from node.demo.studies import FIRST_UNSEEN_SEED, SyntheticHead, write_study
from node.peers import Peer
from node.results.outcomes import Outcome
from node.results.read_report import Conclusion, read_report
from tests.support.ct_series import head_series, stack
from tests.support.pacs import free_port, running_pacs
from tests.support.service import Service, program, running_service, start_service, write_settings
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
SECONDS = 240.0
"""A command may take so long on a busy machine: torch alone takes seconds to load."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2 * SECONDS)]


def midline(*words: str, config: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    options = [] if config is None else ["--config", str(config)]
    return subprocess.run(
        [sys.executable, "-m", "node.cli", *options, *words],
        capture_output=True,
        check=False,
        text=True,
        timeout=SECONDS,
    )


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a small head CT, and a note that is no DICOM file."""
    folder = tmp_path_factory.mktemp("study")
    for index, image in enumerate(head_series(stack(range(0, 150, 5), size=64, pixel_mm=3.6))):
        dcmwrite(folder / f"{index:02d}.dcm", image, enforce_file_format=True)
    (folder / "note.txt").write_text("no image")
    return folder


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run a node that keeps what it gets for a while before it analyses it."""
    folder = tmp_path_factory.mktemp("node")
    with (
        running_pacs() as pacs,
        running_service(
            folder, pacs.peer, completion={"quiet_after_release_seconds": 600.0}
        ) as service,
    ):
        yield service


def test_a_node_answers_echo(service: Service) -> None:
    done = midline("echo", str(service.peer), "--from", "CT1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{service.peer} answered in ")
    assert done.stderr == ""


def test_a_folder_is_sent_over_several_associations(service: Service, study: Path) -> None:
    done = midline("send", str(study), "--to", str(service.peer), "--associations", "3", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"answers": {"0x0000 success": 30}, "num_stored": 30}
    assert service.command("status")["studies"]["RECEIVING"] == 1


def test_a_peer_with_another_name_is_told_in_one_line(service: Service, study: Path) -> None:
    wrong = f"OTHER@127.0.0.1:{service.peer.port}"
    done = midline("send", str(study), "--to", wrong)
    assert done.returncode == 1
    assert done.stderr == (
        f"midline: {wrong} rejected the association: it has another AE title than the one called\n"
    )
    assert "not sent" in done.stdout


def test_a_peer_that_is_down_is_told_in_one_line() -> None:
    nobody = f"PACS@127.0.0.1:{free_port()}"
    done = midline("echo", nobody)
    assert done.returncode == 1
    assert done.stderr == f"midline: no association with {nobody}: no connection, or no answer\n"


def test_the_workers_of_a_node_are_shown(service: Service) -> None:
    roles = {"listen", "analyse", "deliver"}
    workers = eventually(
        lambda: {w["role"] for w in service.command("status")["workers"]} == roles,
        seconds=SECONDS,
    )
    assert workers


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_node_ends_with_0_when_asked_to(tmp_path: Path, number: int) -> None:
    config, peer = write_settings(tmp_path, Peer("PACS", "127.0.0.1", free_port()))
    service = start_service(config, peer, tmp_path / "node.log")
    eventually(lambda: len(service.children()) == 3)
    children = service.children()
    service.process.send_signal(number)
    assert service.process.wait(SECONDS) == 0
    for pid in children:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    log = (tmp_path / "node.log").read_text()
    assert f"MIDLINE on 127.0.0.1, port {peer.port}; data in" in log
    for fault in ("Traceback", "Fatal", "ended with code"):
        assert fault not in log


@pytest.mark.parametrize("role", ["listen", "analyse", "deliver"])
def test_a_role_alone_ends_with_0_when_asked_to(tmp_path: Path, role: str) -> None:
    config, peer = write_settings(tmp_path, Peer("PACS", "127.0.0.1", free_port()))
    with (tmp_path / "role.log").open("wb") as log:
        process = subprocess.Popen([*program(config), role], stdout=log, stderr=log)
    words = "listening as" if role == "listen" else f"working on the queue of {role}"
    eventually(lambda: words in (tmp_path / "role.log").read_text(), seconds=SECONDS)
    process.terminate()
    assert process.wait(SECONDS) == 0
    assert "Traceback" not in (tmp_path / "role.log").read_text()
    assert peer.port > 0


def test_a_port_that_is_taken_is_told_in_one_line(service: Service, tmp_path: Path) -> None:
    nobody = Peer("PACS", "127.0.0.1", free_port())
    config, _ = write_settings(tmp_path, nobody, node={"port": service.peer.port})
    done = midline("listen", config=config)
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{service.peer.port} (node.host, node.port)" in done.stderr
    assert "Traceback" not in done.stderr


def test_weights_that_are_missing_are_told_at_once(tmp_path: Path) -> None:
    nobody = Peer("PACS", "127.0.0.1", free_port())
    missing = {"weights": str(tmp_path / "none.safetensors")}
    config, _ = write_settings(tmp_path, nobody, analysis=missing)
    done = midline("serve", config=config)
    assert done.returncode == 1
    assert done.stderr.startswith("midline: none.json cannot be read in ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("starter", [["-m", "node.cli"], ["run_node.py"]])
def test_both_ways_to_start_are_the_same(starter: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *starter, "serve", "--port", "104"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 2
    assert done.stderr == "midline: No such option: --port (see midline serve --help)\n"


def test_a_folder_is_analysed_without_a_network(tmp_path: Path) -> None:
    head = SyntheticHead("bleeding", FIRST_UNSEEN_SEED, (Subtype.IPH, Subtype.IVH))
    study = write_study(tmp_path / "study", head, scan=Scan(matrix=256))
    out = tmp_path / "out"
    done = midline("segment", str(study.folder), "--out", str(out), "--device", "cpu", "--json")
    assert done.returncode == 0, done.stderr
    findings = json.loads(done.stdout)
    assert json.loads((out / "findings.json").read_text()) == findings
    assert findings["outcome"] in (Outcome.POSITIVE, Outcome.NEGATIVE, Outcome.PARTIAL)
    assert findings["num_images"] == 32
    assert (out / "seg.dcm").exists() == bool(findings["volume_ml"])
    assert (out / "overlay.png").read_bytes().startswith(b"\x89PNG")
    assert read_report(out / "report.dcm").status is not None


def test_a_study_that_cannot_be_analysed_gets_a_report_that_says_why(
    study: Path, tmp_path: Path
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(study.glob("*.dcm"))[:3]:
        (few / path.name).write_bytes(path.read_bytes())
    out = tmp_path / "out"
    out.mkdir()
    (out / "seg.dcm").write_text("of an earlier study")
    done = midline("segment", str(few), "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "no result" in done.stdout
    assert sorted(path.name for path in out.iterdir()) == [
        "findings.json",
        "overlay.png",
        "report.dcm",
        "summary.dcm",
    ]
    report = read_report(out / "report.dcm")
    assert report.conclusion is Conclusion.NO_RESULT
    assert report.reason is not None


def test_several_studies_at_once_are_a_mistake(study: Path, tmp_path: Path) -> None:
    other = head_series(stack(range(0, 10, 5), size=64, pixel_mm=3.6), name="other")
    both = tmp_path / "both"
    both.mkdir()
    dcmwrite(both / "other.dcm", other[0], enforce_file_format=True)
    (both / "00.dcm").write_bytes((study / "00.dcm").read_bytes())
    done = midline("segment", str(both), "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert done.stderr == "midline: these are 2 studies: name the folder of one\n"
    assert not (tmp_path / "out").exists()


def test_a_folder_without_images_is_a_mistake(tmp_path: Path) -> None:
    done = midline("segment", str(tmp_path), "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert done.stderr == f"midline: {tmp_path} holds no DICOM file\n"
