"""Nothing that leaves the node's store names a patient, even at the DEBUG level.

A whole run with studies of every fate: analysed, not qualified, undecodable, cut off, refused, and
quarantined. What may hold the canaries is the images themselves, and the results made of them.
"""

import json
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless

from config.errors import PeerError
from node.peers import Caller, associated, contexts_for, read_store_file, send_file
from tests.support.ct_series import head_series, stack
from tests.support.pacs import Pacs, running_pacs
from tests.support.sender import TIMEOUTS, request_for, store, store_raw
from tests.support.service import Service, running_service
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

CANARY = "CANARYPATIENT"
BIRTH = "19471113"
CANARIES = (CANARY, CANARY.lower(), BIRTH)
TEXTS = (
    "PatientID",
    "AccessionNumber",
    "StudyID",
    "OtherPatientIDs",
    "PatientAddress",
    "PatientComments",
    "InstitutionName",
    "OperatorsName",
    "DeviceSerialNumber",
)
SECONDS = 240.0
COMMANDS = (
    ("status",),
    ("status", "--json"),
    ("queue", "list"),
    ("queue", "list", "--json"),
    *(("queue", "show", str(job), *form) for job in (1, 2, 3, 4) for form in ((), ("--json",))),
    ("peers", "list"),
    ("retention", "show"),
    ("retention", "run", "--dry-run"),
    ("audit", "show"),
    ("audit", "show", "--json"),
    ("audit", "verify"),
    ("audit", "export", "--format", "xml"),
    ("audit", "export", "--format", "json"),
    ("audit", "export", "--format", "log"),
    ("db", "check"),
)


def images_of(name: str, **attributes: object) -> list[Dataset]:
    """Scan a head whose every text names the patient."""
    texts = dict.fromkeys(TEXTS, CANARY)
    described = {
        "PatientName": f"{CANARY}^NAME",
        "PatientBirthDate": BIRTH,
        "ReferringPhysicianName": f"{CANARY}^DOCTOR",
        "StudyDescription": f"CT head {CANARY}",
        "SeriesDescription": f"head {CANARY}",
        "ProtocolName": f"head {CANARY}",
    }
    return head_series(stack(), name=name, **(texts | described | attributes))


def send_undecodable(service: Service, folder: Path) -> None:
    """Store a series whose pixels are no JPEG 2000, whatever its transfer syntax says."""
    folder.mkdir()
    files = []
    for number, image in enumerate(images_of("undecodable")):
        image.PixelData = encapsulate([b"\xff\x4f\xff\x51" + f"{CANARY} {BIRTH}".encode() * 9])
        image["PixelData"].is_undefined_length = True
        image["PixelData"].VR = "OB"
        image.file_meta.TransferSyntaxUID = JPEG2000Lossless
        path = folder / f"{number}.dcm"
        image.save_as(path, enforce_file_format=True)
        files.append(read_store_file(path))
    caller = Caller("CT1", TIMEOUTS)
    with associated(service.peer, contexts_for(files), caller=caller) as association:
        for file in files:
            assert send_file(association, file, peer=service.peer) == 0


def send_everything(service: Service, folder: Path) -> None:
    """Send studies of every fate."""
    good = images_of("good")
    assert store(service.peer, good[1:]) == [0] * (len(good) - 1)
    cut = request_for(good[0])
    store_raw(service.peer, request_for(good[0], data_set=cut.data_set[:-9]), folder)
    store_raw(service.peer, request_for(good[0], data_set=f"{CANARY}\n".encode() * 99), folder)
    assert store(service.peer, images_of("refused", Modality="MR")[:1]) == [0xA900]
    good[1].SeriesDescription = f"{CANARY} edited"
    assert store(service.peer, good[1:2]) == [0x0111]
    store(service.peer, images_of("few", SeriesDescription=f"angio {CANARY}")[:3])
    send_undecodable(service, folder / "undecodable")
    mixed = images_of("mixed")
    store(service.peer, mixed[:2])
    mixed[2].PatientID = f"{CANARY}2"
    assert store(service.peer, mixed[2:3]) == [0xC102]
    with suppress(PeerError):
        store(service.peer, good[:1], ae_title="STRANGER")


MANY_COMMANDS = """
import json, sys
from typer.testing import CliRunner
from node.cli import app
config, commands = sys.argv[1], json.loads(sys.argv[2])
said = {}
for words in commands:
    done = CliRunner().invoke(app, ["--config", config, *words], prog_name="midline")
    said[" ".join(words)] = [done.exit_code, done.output]
print(json.dumps(said))
"""
"""Many commands of one process: to load them takes longer than to run them."""


def commands(config: Path) -> dict[str, bytes]:
    """Run commands as a person would; what they wrote."""
    words = [*COMMANDS, ("queue", "cancel", "1"), ("queue", "retry", "99")]
    arguments = [sys.executable, "-c", MANY_COMMANDS, str(config), json.dumps(words)]
    done = subprocess.run(arguments, check=True, capture_output=True)
    said = json.loads(done.stdout)
    codes = [code for code, _ in said.values()]
    assert codes == [0] * len(COMMANDS) + [2, 2], said
    return {name: text.encode() for name, (_, text) in said.items()} | {"errors": done.stderr}


@dataclass(frozen=True)
class Run:
    """What a run left, and said."""

    folder: Path
    said: dict[str, bytes]
    pacs: Pacs

    @property
    def data(self) -> Path:
        return self.folder / "data"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("privacy")
    (folder / "data").mkdir(mode=0o755)
    said: dict[str, bytes] = {}
    node = {"allowed_calling_ae_titles": ["CT1"]}
    with (
        running_pacs() as pacs,
        running_service(
            folder, pacs.peer, node=node, log={"level": "DEBUG"}, retention={"keep_days": 1}
        ) as service,
    ):
        send_everything(service, folder)
        eventually(lambda: len(pacs.of_modality("SR")) == 4, seconds=SECONDS)
        for pid, role in service.children().items():
            for file in ("cmdline", "comm", "environ"):
                said[f"{role} {file}"] = Path(f"/proc/{pid}/{file}").read_bytes()
        said |= commands(service.config)
    said["the log"] = (folder / "node.log").read_bytes()
    return Run(folder, said, pacs)


def named(content: bytes) -> list[str]:
    return [canary for canary in CANARIES if canary.encode() in content]


def test_no_log_line_command_or_process_names_a_patient(run: Run) -> None:
    assert b"DEBUG" in run.said["the log"]
    assert {what: found for what, text in run.said.items() if (found := named(text))} == {}


def test_no_row_of_the_database_names_a_patient(run: Run) -> None:
    with closing(sqlite3.connect(run.data / "midline.sqlite")) as connection:
        dump = "\n".join(connection.iterdump())
        counts = dict(connection.execute("SELECT outcome, count(*) FROM job GROUP BY 1"))
        conflicts = connection.execute("SELECT count(*) FROM conflict").fetchone()[0]
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    assert {"workflow_status", "audit", "job", "result"} <= tables
    # every fate was met, or the search proves nothing
    assert conflicts == 2
    assert sum(counts.values()) == 4
    assert {"FAILED", "NOT_ATTEMPTED"} <= set(counts)
    assert named(dump.encode()) == []
    # also in pages that are free again
    for file in run.data.glob("midline.sqlite*"):
        assert named(file.read_bytes()) == [], file.name


def test_no_file_is_named_after_a_patient_or_a_uid(run: Run) -> None:
    names = "\n".join(str(path.relative_to(run.data)) for path in run.data.rglob("*"))
    assert named(names.encode()) == []
    assert "2.25." not in names
    assert "quarantine/" in names


def test_nobody_else_may_read_what_is_kept(run: Run) -> None:
    modes = {
        str(path.relative_to(run.data)): stat.S_IMODE(path.stat().st_mode)
        for path in run.data.rglob("*")
    }
    assert len(modes) > 50
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}


def test_an_export_for_a_log_has_no_uid_of_a_study_and_no_pseudonym(run: Run) -> None:
    exported = run.said["audit export --format log"]
    assert b"study=1" in exported
    assert b"2.25." not in exported
    assert b"h1:" not in exported


def test_the_trail_tells_of_every_fate(run: Run) -> None:
    exported = run.said["audit export --format log"].decode()
    for words in (
        'type="Application Start"',
        'from="CT1@127.0.0.1"',
        '"Begin Transferring DICOM Instances"',
        "nobody of this AE title may call from there",
        "a known SOP Instance UID came with other content",
        "a known study or series came under another patient or study",
        '"DICOM Instances Accessed"',
        '"Audit Log Used"',
    ):
        assert words in exported, words
    assert b"whole" in run.said["audit verify"]


def test_the_results_name_the_patient(run: Run) -> None:
    assert {str(ds.PatientID) for ds in run.pacs.received} == {CANARY}
    assert CANARY in str(run.pacs.received[0].PatientName)
