"""The page as a process: it serves without an account and with one, and ends when it is told."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from config.settings import load_settings
from node.roles import prepare
from tests.support.pacs import free_port
from tests.support.page_site import PASSWORDS, sign_in
from tests.support.service import program
from tests.support.waiting import eventually, port_is_open

pytestmark = pytest.mark.slow


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings of a node that ran before: the page itself then needs no torch to start."""
    path = tmp_path / "midline.toml"
    folder, port = tmp_path / "data", free_port()
    path.write_text(f'[storage]\nfolder = "{folder}"\n[page]\nport = {port}\n')
    prepare(load_settings(path))
    return path


def port_of(config: Path) -> int:
    return int(config.read_text().rsplit("=", 1)[1])


@contextmanager
def running(config: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [*program(config), "page", "--supervised"]
    with (
        config.with_suffix(".log").open("wb") as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log) as process,
    ):
        try:
            eventually(lambda: port_is_open(port_of(config)), seconds=60)
            yield process
        finally:
            process.kill()


def test_somebody_gets_an_account_and_signs_in(config: Path) -> None:
    with running(config) as process:
        url = f"http://127.0.0.1:{port_of(config)}"
        with httpx.Client(base_url=url) as client:
            assert "Nobody has an account yet." in client.get("/sign-in").text
            done = subprocess.run(
                [*program(config), "accounts", "add", "vera"],
                input=PASSWORDS["vera"].encode() + b"\n",
                capture_output=True,
                check=True,
            )
            assert b"vera may sign in as viewer" in done.stdout
            assert sign_in(client, "vera", PASSWORDS["vera"]).status_code == 303
            assert "No such study." in client.get("/").text
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert "Traceback" not in config.with_suffix(".log").read_text()


def test_a_page_ends_with_its_supervisor_and_says_that_its_port_is_taken(config: Path) -> None:
    with running(config) as process:
        second = subprocess.run(
            [*program(config), "page", "--supervised"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 2
        assert "page.host, page.port: 127.0.0.1 port" in second.stderr
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(60) == 0
