"""What is told of images that came: one message for each association and study."""

import logging
from collections.abc import Mapping

from config.errors import MidlineError
from node.audit import events
from node.audit.messages import Participant
from node.audit.trail import Write
from storage.database import Database

logger = logging.getLogger(__name__)


def tell_of_reception(
    write: Write,
    database: Database,
    sender: Participant,
    instances: Mapping[int, Mapping[str, int]],
) -> None:
    """Tell what came over an association that has ended.

    Parameters
    ----------
    instances
        For each study, by its number, how many were taken of each SOP class.
    """
    if not instances:
        return
    try:
        with database.read() as transaction:
            studies = [transaction.studies.get(study_id) for study_id in sorted(instances)]
    except MidlineError as error:
        logger.warning("what came over an association is not in the audit trail: %s", error)
        return
    for study in studies:
        if study is not None:
            write(events.received(sender, study, instances[study.id]))
