"""Where an operator works: what may be changed, and who changes it."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
    files
        The store of images; only an analysis that is to run again looks into it.
    queues
        Where work is put.
    audit
        Is told of each action.
    person
        Who acts.
    """

    database: Database
    files: FileStore
    queues: "Queues"
    audit: Write
    person: Participant


@contextmanager
def open_desk(database: Database, settings: Settings, person: Participant) -> Iterator[Desk]:
    """Open a desk on an index that is open already."""
    from node.engine import Queues  # noqa: PLC0415 - lists do without, and it takes a second

    files = FileStore(settings.storage.folder / "files", reserve_bytes=0)
    with closing(Queues(database.engine)) as queues:
        yield Desk(database, files, queues, trail_of(database, settings).write, person)
