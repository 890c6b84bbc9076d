"""What a person does at the command line, told to the audit trail with their name."""

from config.settings import Settings
from node.audit import events
from node.audit.trail import person, trail_of
from storage.database import Database
from storage.records import StudyRecord


def tell_looked_at(database: Database, settings: Settings, study_id: int) -> None:
    """Tell that a person was shown what is known of a study."""
    study = _study(database, study_id)
    if study is not None:
        trail_of(database, settings).write(events.looked_at(person(), study))


def tell_configured(database: Database, settings: Settings, subject: str, command: str) -> None:
    """Tell that a person changed what the node remembers of a peer."""
    trail_of(database, settings).write(events.configured(person(), command, subject))


def _study(database: Database, study_id: int) -> StudyRecord | None:
    with database.read() as transaction:
        return transaction.studies.get(study_id)
