"""Whose work is it? Nothing may be written of work that another worker has taken over.

Whoever takes work from the queue writes a token of its own beside it, and whoever takes it over
another one. The token is asked for at the beginning of each transaction that a step writes in, and
locked until its end: so a worker that was cut off, or stood still, finds out before it writes.
"""

import sqlalchemy as sa
from dbos._context import current_owner_xid, get_local_dbos_context
from sqlalchemy.orm import Session

from config.errors import TakenOverError

SCHEMA = "dbos"
"""Of the queue's tables on PostgreSQL; SQLite has none."""


def fence(session: Session) -> None:
    """Make sure that the work of this thread is still its own, until the transaction ends.

    Whoever does no work of the queue may always write.

    Raises
    ------
    TakenOverError
        If another worker has it.
    """
    context = get_local_dbos_context()
    if context is None or not context.workflow_id:
        return
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    work = sa.table(
        "workflow_status",
        sa.column("workflow_uuid"),
        sa.column("owner_xid"),
        schema=None if is_sqlite else SCHEMA,
    )
    owner = session.scalar(
        sa.select(work.c.owner_xid)
        .where(work.c.workflow_uuid == context.workflow_id)
        # as weak a lock as keeps others from taking it; SQLite has locked all of it
        .with_for_update(key_share=True)
    )
    if owner != current_owner_xid(context.workflow_id):
        raise TakenOverError("another worker has taken this work over")
