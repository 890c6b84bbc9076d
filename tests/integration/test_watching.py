"""``midline queue list --watch`` in a terminal: it follows, and Ctrl-C ends it in silence."""

import signal
import sys
from pathlib import Path

from node.engine import migrate
from storage.database import Database
from tests.support.received import queued_job
from tests.support.terminal import Terminal
from tests.support.waiting import eventually

SETTINGS = '[storage]\nfolder = "{folder}"\n'


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
