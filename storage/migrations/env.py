"""Run by Alembic: how the versions are applied to the connection that it is given."""

from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from storage.migrations import VERSION_TABLE
from storage.tables import Base, UtcDateTime


def is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Leave the tables of the queue, which share the database, alone."""
    return kind != "table" or name in Base.metadata.tables


def written_type(_kind: str, item: object, _context: AutogenContext) -> str | Literal[False]:
    """Write a type of ours as what it is in the database: versions do not change with the code."""
    return "sa.DateTime(timezone=True)" if isinstance(item, UtcDateTime) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    include_name=is_ours,
    render_item=written_type,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
