"""The processes of one machine: started together, restarted when one dies, ended together.

A child that dies loses nothing, since all state is in the index and the store; it is started again
after a pause that grows while it keeps dying. A child whose supervisor dies sees its standard input
end, and ends in good order too, so that a new supervisor finds the port free.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from config.settings import Settings
from node import readiness
from node.reloading import Reloader, Source

logger = logging.getLogger(__name__)

SHORTEST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
HEALTHY_SECONDS = 30.0
"""A child that lived so long starts again without a pause."""
PATIENCE_SECONDS = 45.0
"""At a stop, how long the children may take to end their work; then they are killed."""
LOOK_SECONDS = 0.2
RELOADING = ("listen", "analyse", "deliver")
"""Roles that read their settings again at SIGHUP, which would end any other."""


@dataclass
class Child:
    """One process of the group, over all its lives."""

    role: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    pause_seconds: float = 0.0
    start_at: float = field(default=0.0)

    def start(self, now: float) -> None:
        """Start it; its standard input is a pipe that ends with this process."""
        # the listener alone says when the node is ready: its port is open
        environment = None if self.role == "listen" else readiness.environment_without()
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, env=environment)
        self.started_at = now
        logger.info("started %s as process %d", self.role, self.process.pid)

    def look(self, now: float) -> None:
        """Start it if it is time; note that it died, and when it is to start again."""
        if self.process is None:
            if now >= self.start_at:
                self.start(now)
            return
        code = self.process.poll()
        if code is None:
            return
        lived_seconds = now - self.started_at
        if lived_seconds >= HEALTHY_SECONDS:
            self.pause_seconds = 0.0
        logger.error("%s ended with code %d and is started again", self.role, code)
        self._close()
        self.process, self.start_at = None, now + self.pause_seconds
        self.pause_seconds = min(
            max(2 * self.pause_seconds, SHORTEST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS
        )

    def hang_up(self) -> None:
        """Have it read its settings again; one that is not running will do so anyway."""
        if self.role in RELOADING and self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGHUP)

    def end(self) -> None:
        """Ask it to end."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def wait(self, seconds: float) -> None:
        """Wait for its end; kill it if it takes too long: what it did runs again at the start."""
        if self.process is None:
            return
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            logger.error("%s did not end in time and is killed", self.role)  # noqa: TRY400
            self.process.kill()
            self.process.wait()
        else:
            if code not in (0, -signal.SIGTERM):  # the signal alone, while it was still starting
                logger.error("%s ended with code %d", self.role, code)
        self._close()

    def _close(self) -> None:
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()


def supervise(settings: Settings, source: Source, stop: threading.Event) -> None:
    """Run every role of this machine until stopped; settings that are in order are passed on."""
    config = source.path
    listeners, workers = settings.node.listeners, settings.analysis.workers
    roles = [*["listen"] * listeners, *["analyse"] * workers, "deliver"]
    children = [Child(role, command(role, config)) for role in roles]

    def pass_on(_: Settings) -> None:
        for child in children:
            child.hang_up()

    reloader = Reloader(source, settings, pass_on)
    watchdog = readiness.Watchdog()
    try:
        while not stop.wait(LOOK_SECONDS):
            watchdog.answer()
            reloader.look()
            for child in children:
                child.look(time.monotonic())
    finally:
        for child in children:
            child.end()
        until = time.monotonic() + PATIENCE_SECONDS
        for child in children:
            child.wait(max(0.0, until - time.monotonic()))


def command(role: str, config: Path | None) -> list[str]:
    """Command line of a child; ``python -m``, so that it needs no installed script."""
    options = [] if config is None else ["--config", str(config)]
    return [sys.executable, "-m", "node.cli", *options, role, "--supervised"]


def end_with_parent(stop: threading.Event) -> None:
    """Have a child stop when its standard input ends: its supervisor is gone."""

    def watch() -> None:
        # the file itself, not its buffer: a thread that holds the buffer's lock aborts the exit
        while os.read(sys.stdin.fileno(), 1):
            pass
        stop.set()

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
