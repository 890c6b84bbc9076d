"""The kit of third-party DICOM software beside the repository, and the programs it installs."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

PEERS = Path(__file__).resolve().parents[3] / "shared" / "peers" / "peers"
NOT_INSTALLED = "is not there"
"""How the kit says that one of its components was never installed."""


def peers(*words: object, tries: int = 1) -> list[Any]:
    """Run a command of the kit and give back what it printed, line by line, as JSON.

    Skips the test where the kit is absent, or lacks what the command needs. A command that fails
    is repeated until it has been tried so often.
    """
    if not PEERS.exists():
        pytest.skip("the peers' kit is not beside this checkout")
    done = subprocess.run([PEERS, *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode and NOT_INSTALLED in done.stderr:
        pytest.skip(done.stderr.strip())
    if done.returncode and tries > 1:
        return peers(*words, tries=tries - 1)
    # the validators' verdict is in what they print
    assert done.returncode == 0 or words[0] == "validate", done.stderr + done.stdout
    return [json.loads(line) for line in done.stdout.splitlines()]


def dcmtk(program: str, *words: object) -> bytes:
    """Run a program of DCMTK, not pynetdicom's of the same name; give back what it printed."""
    path = Path("/usr/bin") / program
    if not path.exists():
        pytest.skip(f"{path} of DCMTK is not installed; `peers install` does it")
    done = subprocess.run([path, *map(str, words)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
