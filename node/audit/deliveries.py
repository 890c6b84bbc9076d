"""What is told of an attempt to send results: before it, what is to go; after it, what arrived."""

from collections import Counter
from collections.abc import Collection, Sequence

from node.audit import events
from node.audit.messages import Participant
from node.audit.trail import Write
from storage.database import Database
from storage.records import DeliveryRecord, StudyRecord


class Told:
    """One attempt to send what a job made, as the trail tells it.

    Parameters
    ----------
    write
        Writes a message.
    database
        Where the study is found.
    receiver
        Who is to get it.
    deliveries
        All of one job.
    """

    def __init__(
        self,
        write: Write,
        database: Database,
        receiver: Participant,
        deliveries: Sequence[DeliveryRecord],
    ) -> None:
        self._write, self._receiver, self._deliveries = write, receiver, deliveries
        self._study = study_of_job(database, deliveries[0].job_id) if deliveries else None

    def begins(self) -> None:
        """Tell what is about to be sent."""
        if self._study is not None:
            counts = _counted(self._deliveries)
            self._write(events.begins_to_send(self._receiver, self._study, counts))

    def ends(self, arrived: Collection[int], *, problem: str) -> None:
        """Tell what arrived, and apart from it what did not (PS3.15 A.5.2).

        Parameters
        ----------
        arrived
            Numbers of the deliveries.
        problem
            Why the others did not.
        """
        if self._study is None:
            return
        there = [each for each in self._deliveries if each.id in arrived]
        missing = [each for each in self._deliveries if each.id not in arrived]
        if there:
            self._write(events.sent(self._receiver, self._study, _counted(there)))
        if missing:
            self._write(
                events.sent(
                    self._receiver,
                    self._study,
                    _counted(missing),
                    problem=problem or "the attempt ended before",
                )
            )


def study_of_job(database: Database, job_id: int) -> StudyRecord | None:
    """Find the study of a job."""
    with database.read() as transaction:
        job = transaction.jobs.get(job_id)
        return None if job is None else transaction.studies.get(job.study_id)


def _counted(deliveries: Sequence[DeliveryRecord]) -> dict[str, int]:
    return dict(Counter(each.sop_class_uid for each in deliveries))
