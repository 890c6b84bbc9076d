"""A table that stays on the screen and follows what it shows, until Ctrl-C."""

import sys
import time
from collections.abc import Callable

from rich.live import Live
from rich.table import Table

from config.errors import MidlineError, UsageError
from node.cli.output import console


def watch_table(make: Callable[[], Table], *, seconds: float) -> None:
    """Show a table, and show it anew in its place; end in silence when interrupted.

    Parameters
    ----------
    make
        Reads what there is now.
    seconds
        Between two looks.

    Raises
    ------
    UsageError
        If standard output is no terminal.
    """
    if not sys.stdout.isatty():
        raise UsageError("--watch needs a terminal; --json suits programs")
    table = make()
    try:
        # drawn only when something was read: nothing flickers in between
        with Live(table, console=console(), auto_refresh=False) as live:
            while True:
                time.sleep(seconds)
                try:
                    table = make()
                except MidlineError as error:
                    if not error.retryable:
                        raise
                    table.caption = f"{error}; this is older"
                live.update(table, refresh=True)
    except KeyboardInterrupt:
        return
