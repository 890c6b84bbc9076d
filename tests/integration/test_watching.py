"""``midline queue list --watch`` in a terminal: it follows, and Ctrl-C ends it in silence."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

from node.engine import migrate
from storage.database import Database
from tests.support.received import queued_job
from tests.support.waiting import eventually

SETTINGS = '[storage]\nfolder = "{folder}"\n'


class Terminal:
    """A program in a terminal, and what it has written there."""

    def __init__(self, *words: str) -> None:
        self._master, slave = pty.openpty()
        os.set_blocking(self._master, False)
        self.process = subprocess.Popen(
            words,
            stdin=slave,
            stdout=slave,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "160", "LINES": "40"},
        )
        os.close(slave)
        self.written = ""

    def read(self) -> str:
        """Give all that was written so far."""
        try:
            while chunk := os.read(self._master, 65536):
                self.written += chunk.decode(errors="replace")
        except OSError:  # nothing more for now, or the program has ended
            pass
        return self.written

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)


def test_a_watched_list_follows_and_ends_in_silence(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    database = Database(f"sqlite:///{folder / 'midline.sqlite'}")
    database.upgrade()
    migrate(database)
    first = queued_job(database)
    config = tmp_path / "midline.toml"
    config.write_text(SETTINGS.format(folder=folder))
    terminal = Terminal(
        sys.executable, "-m", "node.cli", "--config", str(config), "queue", "list", "--watch"
    )
    try:
        eventually(lambda: "QUEUED" in terminal.read(), seconds=60.0)
        assert "CANCELLED" not in terminal.written
        with database.begin() as transaction:
            transaction.jobs.cancel(first.id, now=transaction.now())
        eventually(lambda: "CANCELLED" in terminal.read(), seconds=60.0)
        assert terminal.written.count("\x1b[2J") == 0  # drawn over, and never wiped: no flicker
        terminal.process.send_signal(signal.SIGINT)
        _, complaints = terminal.process.communicate(timeout=60)
        terminal.read()
    finally:
        terminal.close()
        database.close()
    assert terminal.process.returncode == 0
    assert complaints == b""
    assert "Traceback" not in terminal.written
