"""All checks, one after the other; none keeps another from being made."""

from collections.abc import Iterator
from pathlib import Path

from config.checking import check as complaints_about
from config.errors import SettingsError
from config.settings import Settings, load_settings
from node.admission import AETable
from node.doctor import database, disk, model, notifications, ports, surroundings
from node.doctor.findings import Ailment, Check, Finding, Level

FAULTY = Ailment(
    "settings.faulty",
    Level.FAULT,
    "{place}: {fault}",
    "{mend}",
)
FAILED = Ailment(
    "settings.unchecked",
    Level.FAULT,
    "the check of {check} ended with {error}",
    "a fault of this program: tell those who develop it, with the output of midline doctor --json",
)


def look_at_settings(_: Settings) -> Iterator[Finding]:
    """Say that they were read: whoever examines has looked at them before."""
    yield SETTINGS.well("the settings are in order")


SETTINGS = Check(
    "settings",
    "The settings file and the environment, as midline config check.",
    (FAULTY, FAILED),
    look_at_settings,
)
CHECKS: tuple[Check, ...] = (
    SETTINGS,
    database.CHECK,
    database.CLOCK,
    disk.CHECK,
    ports.CHECK,
    model.WEIGHTS,
    model.DECODERS,
    model.DEVICE,
    surroundings.CERTIFICATES,
    surroundings.PEERS,
    notifications.CHECK,
    surroundings.WORKERS,
)


def examine(path: Path | None) -> Iterator[Finding]:
    """Make every check on the site of a settings file; with faulty settings there is no more."""
    found = False
    for each in complaints_about(path):
        found = True
        yield FAULTY.found(
            place=each.place, fault=each.fault, mend=each.mend or "midline config explain KEY"
        )
    if found:
        return
    settings = load_settings(path)
    try:
        AETable.of(settings)
    except SettingsError as error:
        yield FAULTY.found(place=path or "settings", fault=error, mend="midline config check")
        return
    for check in CHECKS:
        yield from _made(check, settings)


def _made(check: Check, settings: Settings) -> Iterator[Finding]:
    """Make one check, whatever becomes of it."""
    try:
        findings = list(check.look(settings))
    except Exception as error:  # noqa: BLE001 - the other checks are to be made, too
        yield FAILED.found(check=check.name, error=type(error).__name__)
        return
    yield from findings
