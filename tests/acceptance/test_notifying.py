"""A deliverer that is killed while it tells somebody: the next one tells it again, and alike."""

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from config.example import as_toml
from storage.records import NotificationState
from tests.support.notified import running_hook
from tests.support.notifying_site import NotifyingSite, notifying_settings, webhook
from tests.support.service import program
from tests.support.waiting import eventually

SECONDS = 90.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3 * SECONDS)]


@contextmanager
def delivering(config: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as file:
        process = subprocess.Popen(
            [*program(config), "deliver"],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_what_a_killed_deliverer_was_telling_is_told_again(tmp_path: Path) -> None:
    data, config = tmp_path / "data", tmp_path / "site.toml"
    data.mkdir()
    asked, killed = threading.Event(), threading.Event()

    def answer(number: int) -> int:
        if number > 1:
            return 200
        asked.set()
        killed.wait(SECONDS)
        return 0

    with running_hook(answer) as hook:
        described = webhook(tmp_path, hook.url, timeout_seconds=60.0)
        site = NotifyingSite(data, notifying_settings(data, webhooks=[described]))
        site.end()
        lines = [f"{key} = {as_toml(value)}" for key, value in described.items()]
        config.write_text(
            f'[storage]\nfolder = "{data}"\nreserve_bytes = 0\n'
            "[liveness]\nbeat_seconds = 0.5\ndead_after_seconds = 3.0\n"
            "[[webhooks]]\n" + "\n".join(lines) + "\n"
        )
        log = tmp_path / "deliver.log"
        with delivering(config, log):
            assert asked.wait(SECONDS), log.read_text()
            assert site.notification().state is NotificationState.PENDING
        killed.set()
        with delivering(config, log):
            eventually(lambda: site.notification().state is NotificationState.SENT, seconds=SECONDS)
        first, second = hook.posts
        assert first.body == second.body
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        assert second.is_signed
        site.close()
