"""What the commands know of the site: its settings and its index."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from pydantic import ValidationError

from config import log
from config.errors import UsageError
from config.settings import AnalysisSettings, Settings, load_settings
from storage.database import Database

SQLITE = "sqlite:///"


def config_of(context: typer.Context) -> Path | None:
    """Path of the settings file, if one was named."""
    config = context.find_root().obj
    return config if isinstance(config, Path) else None


def settings_for_service(context: typer.Context) -> Settings:
    """Load the settings, and log as they say."""
    settings = load_settings(config_of(context))
    log.configure(settings.log.level, log_format=settings.log.format)
    return settings


def settings_for_person(context: typer.Context) -> Settings:
    """Load the settings; whoever sits at the terminal is told what went wrong once, by us."""
    log.configure("WARNING")
    for library in log.QUIET:
        logging.getLogger(library).setLevel(logging.CRITICAL)
    return load_settings(config_of(context))


def with_analysis(settings: Settings, **changes: str | Path | None) -> Settings:
    """Replace settings of the analysis by those that the command line names.

    Raises
    ------
    UsageError
        If one of them is out of range.
    """
    named = {key: value for key, value in changes.items() if value is not None}
    try:
        analysis = AnalysisSettings.model_validate({**settings.analysis.model_dump(), **named})
    except ValidationError as error:
        option = error.errors()[0]["loc"][0]
        raise UsageError(f"--{option}: {named.get(str(option))!r} is not possible") from error
    return settings.model_copy(update={"analysis": analysis})


@contextmanager
def open_index(settings: Settings) -> Iterator[Database]:
    """Open the index of a node that has run before.

    Raises
    ------
    UsageError
        If there is none where the settings say.
    """
    url = settings.storage.url
    if url.startswith(SQLITE) and not Path(url.removeprefix(SQLITE)).is_file():
        raise UsageError(
            f"{settings.storage.folder} holds no index: is this the folder (storage.folder) of a "
            "node that was started before? Name its settings with midline --config FILE"
        )
    database = Database(url)
    try:
        yield database
    finally:
        database.close()
