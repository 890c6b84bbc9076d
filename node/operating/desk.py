"""Where an operator works: what may be changed, and who changes it."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from config.errors import UsageError
from config.settings import Settings
from node.audit.messages import Participant
from node.audit.trail import Write, trail_of
from storage.database import Database
from storage.files import FileStore

if TYPE_CHECKING:
    from node.engine import Queues


@dataclass(frozen=True, eq=False)
class Desk:
    """What an operator's actions need; give it another person with `dataclasses.replace`.

    Attributes
    ----------
    database
        The index.
    folder
        Of the node's data; only an analysis that is to run again looks into it.
    queues
        Where work is put.
    audit
        Is told of each action.
    person
        Who acts.
    """

    database: Database
    folder: Path
    queues: "Queues"
    audit: Write
    person: Participant

    @property
    def files(self) -> FileStore:
        """The store of images; raises `UsageError` if it is not on this machine."""
        return open_files(self.folder)


def open_files(folder: Path) -> FileStore:
    """Open the store in a node's folder, to look at it or to remove from it; it is not made.

    Raises
    ------
    UsageError
        If it is not there: the node, or its file system, is that of another machine.
    """
    place = folder / "files"
    if not place.is_dir():
        raise UsageError(
            f"the file store ({place.absolute()}) is not on this machine: give this command where "
            "it is, or mount it here"
        )
    return FileStore(place, reserve_bytes=0)


@contextmanager
def open_desk(database: Database, settings: Settings, person: Participant) -> Iterator[Desk]:
    """Open a desk on an index that is open already."""
    from node.engine import Queues  # noqa: PLC0415 - lists do without, and it takes a second

    audit = trail_of(database, settings).write
    with closing(Queues(database.engine)) as queues:
        yield Desk(database, settings.storage.folder, queues, audit, person)
