"""Is the node well? For whatever watches over processes: alive, and ready to do its work."""

import logging
from collections.abc import Callable, Mapping

from config.errors import MidlineError
from node.operating.overview import Overview
from storage.database import Database
from storage.upkeep import versions

logger = logging.getLogger(__name__)

NEEDED_ROLES = ("analyse", "deliver")


def checks(database: Database, overview: Callable[[], Overview]) -> Mapping[str, bool]:
    """Look whether the node can do its work.

    Parameters
    ----------
    database
        Of the node.
    overview
        Tells how it stands.

    Returns
    -------
    Mapping
        ``database``: the index answers; ``tables``: they are of this version; ``disk``: images are
        accepted; ``analyse``, ``deliver``: a worker of that role gave a sign of life in time. What
        cannot be known is False.
    """
    unknown = dict.fromkeys(("database", "tables", "disk", *NEEDED_ROLES), False)
    try:
        with database.read() as transaction:
            transaction.now()
        if not versions(database).is_newest:
            return unknown | {"database": True}
        found = _of(overview())
    except MidlineError as error:
        logger.warning("not ready: %s", error)
        return unknown
    return {"database": True, "tables": True, **found}


def _of(overview: Overview) -> Mapping[str, bool]:
    alive = {worker.role for worker in overview.workers if worker.alive}
    known = overview.disk.free_bytes is not None
    return {
        "disk": known and not overview.disk.is_full,
        **{role: role in alive for role in NEEDED_ROLES},
    }
