"""Retention: images of finished studies go after their time, or when the disk gets full.

First the study is marked, then its files go: a crash in between leaves files that no study needs,
and the next sweep takes them. An image that no row names is no such file: it is entered
(`node.adoption`). Results, index and audit trail stay, and so does what lies in quarantine until
somebody has looked.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from config.errors import MidlineError
from config.log import log_scope
from config.settings import RetentionSettings
from node.adoption import adopt, unneeded
from node.audit import events
from node.audit.messages import Participant
from node.custody import Stores
from storage.files import FileStore
from storage.records import CompleteStudy, FinishedStudy

logger = logging.getLogger(__name__)

LOOK_SECONDS = 60.0
"""Between two looks at the free space."""
SWEEP_SECONDS = 3600.0
"""Between two sweeps over everything."""
SAFE_AGE = timedelta(hours=1)
"""Younger files may belong to a process that is about to enter them."""


@dataclass(frozen=True)
class Removed:
    """What went.

    Attributes
    ----------
    study_ids
        Studies whose images went.
    num_bytes
        Of them, and of what their jobs left for each other.
    num_orphans
        Received files that nobody needed.
    num_adopted
        Images without a row, which were entered.
    num_parts
        Files that a crash left half written.
    """

    study_ids: tuple[int, ...] = ()
    num_bytes: int = 0
    num_orphans: int = 0
    num_adopted: int = 0
    num_parts: int = 0


class Retention:
    """Looks for what may go, and removes it.

    Parameters
    ----------
    stores
        Where studies and images are, and who is told of each study.
    settings
        For how long, and how much room there is to be.
    person
        Who asked for it; None if it was time.
    """

    def __init__(
        self,
        stores: Stores,
        settings: RetentionSettings,
        *,
        person: Participant | None = None,
    ) -> None:
        self._stores, self._settings, self._person = stores, settings, person
        self._database, self._files = stores.database, stores.files

    def renew(self, settings: RetentionSettings) -> None:
        """Go by other settings from now on."""
        self._settings = settings

    def finished(self, *, now: datetime) -> tuple[FinishedStudy, ...]:
        """List the studies with which nothing is left to be done, and whose images are here."""
        with self._database.read() as transaction:
            return transaction.retention.finished(now=now)

    def due(self, *, now: datetime) -> tuple[FinishedStudy, ...]:
        """List the studies whose images would go now, by time and then for room."""
        finished = self.finished(now=now)
        keep = self._settings.keep_days
        timely = tuple(s for s in finished if keep is not None and goes_at(s, keep) <= now)
        lacking = self._lacking_bytes() - sum(study.num_bytes for study in timely)
        for_room = []
        for study in finished[len(timely) :]:
            if lacking <= 0:
                break
            for_room.append(study)
            lacking -= study.num_bytes
        return (*timely, *for_room)

    def run(self, *, now: datetime) -> Removed:
        """Remove what is due, and sweep up what nobody needs.

        Raises
        ------
        StorageError
            If something cannot be removed; what was removed before it stays so.
        """
        self._files.put_back()
        gone = self._remove(now=now)
        orphans, adopted = self._sweep_orphans(now=now)
        parts = self._files.sweep_parts(now=now, older_than=SAFE_AGE)
        if orphans or parts:
            logger.info("removed %d files that nobody needed, %d half written", orphans, parts)
        if adopted:
            logger.warning("entered %d images that had no row", adopted)
        return Removed(gone.study_ids, gone.num_bytes, orphans, adopted, parts)

    def run_until(
        self, stop: threading.Event, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Run once an hour, and look each minute whether the disk gets full."""
        next_sweep = clock()
        while not stop.wait(LOOK_SECONDS):
            try:
                if clock() >= next_sweep:
                    next_sweep = clock() + SWEEP_SECONDS
                    self.run(now=datetime.now(UTC))
                elif self._lacking_bytes() > 0:
                    self._remove(now=datetime.now(UTC))
            except MidlineError as error:
                logger.warning("retention failed, and will be repeated: %s", error)

    def _lacking_bytes(self) -> int:
        """Tell how much less is free than there is to be."""
        wanted = self._settings.low_space_bytes
        return wanted - self._files.free_bytes if wanted else 0

    def _remove(self, *, now: datetime) -> Removed:
        ids, num_bytes = [], 0
        for study in self.due(now=now):
            freed = self._remove_study(study, now=now)
            if freed is not None:
                ids.append(study.id)
                num_bytes += freed
        return Removed(tuple(ids), num_bytes)

    def _remove_study(self, finished: FinishedStudy, *, now: datetime) -> int | None:
        """Remove the images of a study, and what its jobs left; None if it is needed again."""
        with self._database.begin() as transaction, log_scope(study=finished.id):
            if not transaction.retention.mark_removed(finished.id, now=now):
                return None
            paths = transaction.retention.paths_of(finished.id)
            job_ids = transaction.retention.job_ids_of(finished.id)
            study = transaction.studies.get(finished.id)
        if study is not None:
            reason = "its time is over" if self._person is None else "retention run"
            self._stores.audit(events.removed(study, person=self._person, reason=reason))
        with self._database.read() as transaction:
            needed = transaction.retention.needed(paths)
        freed = sum(
            self._files.remove(path, unless_since=now) for path in paths if path not in needed
        )
        freed += sum(map(self._files.remove_scratch, job_ids))
        logger.info(
            "removed the images of study %d: %d files, %d bytes", finished.id, len(paths), freed
        )
        return freed

    def _sweep_orphans(self, *, now: datetime) -> tuple[int, int]:
        """Remove received files that no study needs; those that no row names are entered instead.

        Younger files may belong to somebody who is about to enter them.

        Returns
        -------
        tuple of int
            How many were removed, and how many entered.
        """
        before = now - SAFE_AGE
        num_removed = num_adopted = 0
        for found in unneeded(self._stores.files, self._stores.database, before=before):
            if not found.is_known and adopt(found.path, self._stores):
                num_adopted += 1
            else:
                num_removed += self._stores.files.remove(found.path, unless_since=before) > 0
        return num_removed, num_adopted


def goes_at(study: FinishedStudy, keep_days: float) -> datetime:
    """Tell when the time of a study's images is over."""
    return study.settled_at + timedelta(days=keep_days)


def num_missing(files: FileStore, study: CompleteStudy) -> int:
    """Count the images of a generation that are not in the store any more."""
    return sum(not files.path(image.path).is_file() for image in study.instances)
