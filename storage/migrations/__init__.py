"""Versions of the tables, applied by `storage.database.Database.upgrade`.

A new version, after a change of `storage.tables`, in a transaction on an upgraded database::

    alembic.command.revision(configuration(connection), "what changed", autogenerate=True)
"""

from pathlib import Path

from alembic.config import Config
from sqlalchemy import Connection

VERSION_TABLE = "midline_version"
"""Holds the version of our tables; the queue's have their own."""


def configuration(connection: Connection) -> Config:
    """Configure Alembic for these versions and an open connection, without a file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
