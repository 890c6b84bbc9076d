"""Whether the index is there, of this version and sound, and its times agree with the clock."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from config.errors import MidlineError
from config.settings import Settings
from node.doctor.findings import Ailment, Check, Finding, Level
from storage.database import Database
from storage.upkeep import faults, latest_moment, versions

SQLITE = "sqlite:///"
CLOCK_SECONDS = 5.0
"""Clocks of two hosts may differ so much; a question to the database takes a part of it."""

ABSENT = Ailment(
    "database.absent",
    Level.WARNING,
    "there is no index in {folder} yet",
    "start the node, or midline db upgrade; a backup is put back as docs/installation.md says",
)
AWAY = Ailment(
    "database.away",
    Level.FAULT,
    "the index cannot be opened: {error}",
    "start the database, and check storage.database_url and the rights of its user",
)
OLD = Ailment(
    "database.old",
    Level.WARNING,
    "the tables have version {current}, the newest is {newest}",
    "midline db backup FILE, then midline db upgrade; a start of the node upgrades, too",
)
NEWER = Ailment(
    "database.newer",
    Level.FAULT,
    "the tables have version {current}, and this program knows {newest}",
    "install the version of Midline that made them, or put a backup back",
)
UNSOUND = Ailment(
    "database.unsound",
    Level.FAULT,
    "the index contradicts itself: {fault}",
    "end the node and put a backup back; midline db check shows what else is wrong",
)
DIFFERS = Ailment(
    "clock.differs",
    Level.FAULT,
    "this machine's clock and that of the database differ by {seconds:.0f} s",
    "have both machines keep time (chrony, systemd-timesyncd): timedatectl shows it",
)
BEHIND = Ailment(
    "clock.behind",
    Level.FAULT,
    "the index holds times up to {seconds:.0f} s ahead of this machine's clock",
    "set the clock; studies that arrive before that time are completed late",
)


def look(settings: Settings) -> Iterator[Finding]:
    """Look at version and soundness; the whole file is not compared, see midline db check."""
    if is_absent(settings):
        yield ABSENT.found(folder=settings.storage.folder)
        return
    with closing(Database(settings.storage.url)) as database:
        try:
            with database.read() as transaction:
                transaction.now()
        except MidlineError as error:
            yield AWAY.found(error=error)
            return
        known = versions(database)
        if not known.is_newest:
            ailment = NEWER if (known.current or "") > (known.newest or "") else OLD
            yield ailment.found(current=known.current or "none", newest=known.newest)
            return
        for fault in faults(database, quick=True):
            yield UNSOUND.found(fault=fault)
    yield CHECK.well(f"the index can be read, its tables have version {known.newest}")


def look_at_clock(settings: Settings) -> Iterator[Finding]:
    """Compare this machine's clock with the database's, and with what it wrote before."""
    if is_absent(settings):
        return
    with closing(Database(settings.storage.url)) as database:
        try:
            with database.read() as transaction:
                there, here = transaction.now(), datetime.now(UTC)
            latest = latest_moment(database)
        except MidlineError:
            return  # the check of the database says so
    seconds = abs((here - there).total_seconds())
    if seconds > CLOCK_SECONDS:
        yield DIFFERS.found(seconds=seconds)
    if latest is not None and latest > here + timedelta(seconds=CLOCK_SECONDS):
        yield BEHIND.found(seconds=(latest - here).total_seconds())
    else:
        yield CLOCK.well(f"this machine and the database differ by {seconds:.1f} s")


def is_absent(settings: Settings) -> bool:
    """Whether there is no index: asking SQLite for it would make one."""
    url = settings.storage.url
    return url.startswith(SQLITE) and not Path(url.removeprefix(SQLITE)).is_file()


CHECK = Check(
    "database",
    "The index: reachable, of the version of this program, and free of contradictions.",
    (ABSENT, AWAY, OLD, NEWER, UNSOUND),
    look,
)
CLOCK = Check(
    "clock",
    "The clock, against the database's and against what is in the index.",
    (DIFFERS, BEHIND),
    look_at_clock,
)
