"""dcmjs-dimse, a DICOM stack in JavaScript that shares no code with ours, as sender and receiver.

It is installed from npm once, beside the peers' kit; nothing of it is in the repository.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from node.peers import Peer
from tests.support.pacs import SYNTAXES

VERSION = "0.3.3"
DRIVER = Path(__file__).with_name("dcmjs_peer.mjs")
SECONDS_TO_INSTALL = 300
SECONDS_TO_SEND = 60


@dataclass(frozen=True)
class Said:
    """What was answered on one association.

    Attributes
    ----------
    echo
        Status of the C-ECHO; None if there was no answer.
    stored
        Status of each file's C-STORE.
    rejected
        Result, source and reason, if the association was rejected.
    error
        What else ended it.
    """

    echo: int | None
    stored: Mapping[str, int]
    rejected: list[int] | None
    error: str | None


@dataclass(frozen=True)
class Archive:
    """A receiver that runs."""

    peer: Peer
    folder: Path

    def held(self) -> dict[str, Dataset]:
        """What it keeps, by modality."""
        found = [dcmread(path) for path in self.folder.glob("*.dcm")]
        return {str(ds.Modality): ds for ds in found}


@dataclass(frozen=True)
class Dcmjs:
    """An installation of the stack."""

    modules: Path

    def send(
        self, peer: Peer, associations: Sequence[Sequence[Path]], *, ae_title: str = "CT1"
    ) -> list[Said]:
        """Verify and store on several associations at the same time."""
        options = {
            "host": peer.host,
            "port": peer.port,
            "callingAeTitle": ae_title,
            "calledAeTitle": peer.ae_title,
            "associations": [[str(file) for file in files] for files in associations],
        }
        done = subprocess.run(
            self._command("send", options),
            capture_output=True,
            text=True,
            timeout=SECONDS_TO_SEND,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [Said(**each) for each in json.loads(done.stdout.splitlines()[-1])]

    @contextmanager
    def archive(
        self,
        folder: Path,
        classes: Sequence[str],
        *,
        port: int = 0,
        syntaxes: Sequence[str] = SYNTAXES,
        statuses: Mapping[str, Sequence[int]] | None = None,
        reject: Sequence[int] | None = None,
    ) -> Iterator[Archive]:
        """Run a receiver.

        Parameters
        ----------
        folder
            Gets the files.
        classes, syntaxes
            What it accepts.
        statuses
            Answers to the first objects of a modality; then Success.
        reject
            Result, source and reason with which it rejects every association.
        """
        folder.mkdir(exist_ok=True)
        options = {
            "folder": str(folder),
            "port": port,
            "classes": {each: list(syntaxes) for each in classes},
            "syntaxes": list(syntaxes),
            "statuses": {key: list(value) for key, value in (statuses or {}).items()},
            "reject": reject,
        }
        command = self._command("receive", options)
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            port = json.loads(process.stdout.readline())["port"]
            yield Archive(Peer("DCMJS", "127.0.0.1", port), folder)
            process.stdin.close()
            assert process.wait(10) == 0

    def _command(self, command: str, options: Mapping[str, Any]) -> list[str]:
        return ["node", str(DRIVER), str(self.modules), command, json.dumps(options)]


def installed() -> Dcmjs:
    """Install the stack if it is not there yet; fails the test where that cannot be."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.fail(f"{program} is not installed: dcmjs-dimse needs Node.js 20 with npm")
    home = Path(os.environ.get("PEERS_HOME", Path(tempfile.gettempdir()) / "midline-peers"))
    modules = home / f"dcmjs-dimse-{VERSION}"
    if not (modules / "node_modules").exists():
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home) as scratch:
            _install(Path(scratch) / "made")
            # another test may have been as quick: then one of both stays
            if not modules.exists():
                (Path(scratch) / "made").rename(modules)
    return Dcmjs(modules)


def _install(folder: Path) -> None:
    folder.mkdir()
    (folder / "package.json").write_text("{}\n")
    words = ["npm", "install", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(
        [*words, f"dcmjs-dimse@{VERSION}"],
        capture_output=True,
        text=True,
        timeout=SECONDS_TO_INSTALL,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"npm cannot install dcmjs-dimse {VERSION}: {done.stderr.strip()[-400:]}")
