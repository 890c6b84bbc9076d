"""Changed settings, taken over by a process that runs: associations and running work go on.

SIGHUP asks for it. A file with a fault is refused in one line, and what held before goes on to
hold; so do settings that only a new start can change (`config.reloading`).
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from config.errors import MidlineError
from config.reloading import changed, is_reloaded, reloaded
from config.settings import Settings, load_settings
from node.admission import AETable
from node.caller import caller_of

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.2

Apply = Callable[[Settings], None]
"""Takes settings over; raises an error of ours before anything has changed."""


@dataclass(frozen=True)
class Source:
    """Where settings come from, and who asks for them to be read again.

    Attributes
    ----------
    path
        The site's file; None for the environment alone, which never changes.
    asked
        Is set when they are to be read again.
    overridden
        Keys for which the command line has the last word.
    """

    path: Path | None = None
    asked: threading.Event = field(default_factory=threading.Event)
    overridden: frozenset[str] = frozenset()


class Reloader:
    """Reads the settings again when asked, and has them taken over.

    Parameters
    ----------
    source
        Where they come from.
    settings
        Those that hold at the start.
    apply
        Takes new ones over.
    """

    def __init__(self, source: Source, settings: Settings, apply: Apply) -> None:
        self._source, self._settings, self._apply = source, settings, apply

    def look(self) -> bool:
        """Reload if that was asked for; whether new settings hold."""
        if not self._source.asked.is_set():
            return False
        self._source.asked.clear()
        return self.reload()

    def reload(self) -> bool:
        """Read the settings, and have them taken over; whether they are in order."""
        old = self._settings
        try:
            wanted = load_settings(self._source.path)
            new = reloaded(old, wanted)
            check(new)
            self._apply(new)
        except MidlineError as error:
            logger.error("the settings stay as they were: %s", error)  # noqa: TRY400
            return False
        self._settings = new
        keys = [key for key in changed(old, wanted) if key not in self._source.overridden]
        logger.info("the settings were read again: %s", _told(keys))
        return True

    def run_until(self, stop: threading.Event) -> None:
        """Look again and again."""
        while not stop.wait(LOOK_SECONDS):
            self.look()


def check(settings: Settings) -> None:
    """Find the faults of settings that their declarations cannot know.

    Raises
    ------
    SettingsError
        If the table of callers contradicts itself, or certificates cannot be used.
    """
    AETable.of(settings)
    caller_of(settings)


@contextmanager
def reloading(source: Source, settings: Settings, apply: Apply) -> Iterator[None]:
    """Take new settings over for a while, in a thread of its own."""
    ended = threading.Event()
    reloader = Reloader(source, settings, apply)
    thread = threading.Thread(
        target=reloader.run_until, args=(ended,), name="reloading", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _told(keys: Sequence[str]) -> str:
    """Say what holds now, and what only after a new start."""
    now = [key for key in keys if is_reloaded(key)]
    later = [key for key in keys if not is_reloaded(key)]
    said = f"{', '.join(now)} changed" if now else "nothing changed"
    return f"{said}; after a new start also {', '.join(later)}" if later else said
