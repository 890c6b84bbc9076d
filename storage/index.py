"""The index of studies: which images are held, when a study is complete, and what conflicts.

Whoever changes a study locks its row first, so a completion and a late image happen one after the
other, never in between.
"""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.records import (
    CompleteStudy,
    ConflictKind,
    ConflictRecord,
    ReceivedInstance,
    Registration,
    StoredInstance,
    StudyRecord,
    StudyState,
)
from storage.registration import register
from storage.tables import (
    CompletionRow,
    ConflictRow,
    InstanceRow,
    SeriesRow,
    StudyRow,
    as_record,
)


class StudyIndex:
    """Studies within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def register(self, instance: ReceivedInstance, *, now: datetime) -> Registration:
        """Enter an image that is safe on the disk; an identical repetition only counts.

        A new image of a complete study opens the study's next generation.

        Raises
        ------
        InstanceConflictError
            If the SOP Instance UID is known with other content, or a result's. Roll back, then
            `record_conflict` in a transaction of its own.
        PatientConflictError
            If the study is known under another patient, or the series under another study. Roll
            back, then `quarantine` and `record_conflict` in a transaction of their own.
        """
        return register(self._session, instance, now=now)

    def expect(self, study_id: int, count: int, *, by: str) -> None:
        """Note how many images of a study there are to be, and who said so in 64 characters."""
        self._session.execute(
            sa.update(StudyRow)
            .where(StudyRow.id == study_id)
            .values(expected_instances=count, expected_by=by)
        )

    def complete(
        self, study_id: int, *, last_received_at: datetime, now: datetime, evidence: str
    ) -> CompleteStudy | None:
        """Close the current generation of a study, unless an image landed or somebody else did.

        Parameters
        ----------
        last_received_at
            Of the `StudyRecord` on which the decision rests: the guard.
        evidence
            Why the study is taken for complete, at most 64 characters.

        Returns
        -------
        CompleteStudy or None
            None if the study is no longer as it was seen; then nothing was changed.
        """
        closed = self._session.scalar(
            sa.update(StudyRow)
            .where(
                StudyRow.id == study_id,
                StudyRow.state == StudyState.RECEIVING,
                StudyRow.last_received_at == last_received_at,
            )
            .values(state=StudyState.COMPLETE, generation=StudyRow.generation + 1)
            .returning(StudyRow.id)
            .execution_options(synchronize_session=False)
        )
        if closed is None:
            return None
        study = self._session.get_one(StudyRow, study_id, populate_existing=True)
        self._session.add(
            CompletionRow(
                study_id=study_id,
                generation=study.generation,
                num_instances=study.num_instances,
                last_received_at=last_received_at,
                completed_at=now,
                evidence=evidence,
            )
        )
        self._session.flush()
        return self.read_complete(study_id, study.generation)

    def get(self, study_id: int) -> StudyRecord | None:
        """Read a study as it stands now."""
        row = self._session.get(StudyRow, study_id, populate_existing=True)
        return None if row is None else as_record(StudyRecord, row)

    def find(self, study_instance_uid: str) -> StudyRecord | None:
        """Read the study with this UID."""
        row = self._find_row(study_instance_uid)
        return None if row is None else as_record(StudyRecord, row)

    def read_complete(self, study_id: int, generation: int) -> CompleteStudy | None:
        """Read all images held when a generation was complete; None if it never was."""
        query = (
            sa.select(StudyRow, CompletionRow)
            .join(CompletionRow, CompletionRow.study_id == StudyRow.id)
            .where(StudyRow.id == study_id, CompletionRow.generation == generation)
        )
        found = self._session.execute(query).one_or_none()
        if found is None:
            return None
        study, completion = found
        return CompleteStudy(
            id=study.id,
            study_instance_uid=study.study_instance_uid,
            generation=generation,
            patient_key=study.patient_key,
            calling_ae_title=study.calling_ae_title,
            instances=self._instances(study_id, generation),
            completed_at=completion.completed_at,
            first_received_at=self._first_received_at(study_id, generation)
            or completion.last_received_at,
            last_received_at=completion.last_received_at,
            evidence=completion.evidence,
        )

    def list_studies(
        self, *, state: StudyState | None = None, limit: int = 100, offset: int = 0
    ) -> tuple[StudyRecord, ...]:
        """List studies, the one that last received an image first."""
        query = sa.select(StudyRow).order_by(StudyRow.last_received_at.desc(), StudyRow.id.desc())
        if state is not None:
            query = query.where(StudyRow.state == state)
        rows = self._session.scalars(query.limit(limit).offset(offset))
        return tuple(as_record(StudyRecord, row) for row in rows)

    def counts(self) -> dict[StudyState, int]:
        """Count the studies in each state."""
        query = sa.select(StudyRow.state, sa.func.count()).group_by(StudyRow.state)
        found = dict(self._session.execute(query).all())
        return {state: found.get(state, 0) for state in StudyState}

    def in_conflict(
        self, study_instance_uid: str, *, series_instance_uid: str
    ) -> tuple[StudyRecord, ...]:
        """List the studies of an instance: its own, and the one that holds its series."""
        query = _in_conflict(study_instance_uid, series_instance_uid)
        return tuple(as_record(StudyRecord, row) for row in self._session.scalars(query))

    def quarantine(
        self, study_instance_uid: str, *, series_instance_uid: str | None = None
    ) -> tuple[int, ...]:
        """Keep a study from being processed, and the study that holds the series, if another.

        Returns
        -------
        tuple of int
            The studies that are quarantined now and were not before.
        """
        query = (
            _in_conflict(study_instance_uid, series_instance_uid)
            .where(StudyRow.state != StudyState.QUARANTINED)
            .with_for_update()
        )
        rows = self._session.scalars(query).all()
        for row in rows:
            row.state = StudyState.QUARANTINED
        return tuple(row.id for row in rows)

    def readmit(self, study_id: int, *, now: datetime) -> StudyRecord | None:
        """Take a study out of quarantine, after somebody has looked.

        Returns
        -------
        StudyRecord or None
            None if the study is not quarantined.
        """
        study = self._session.get(StudyRow, study_id, with_for_update=True, populate_existing=True)
        if study is None or study.state != StudyState.QUARANTINED:
            return None
        unread = sa.exists().where(
            InstanceRow.study_id == study_id, InstanceRow.generation > study.generation
        )
        if self._session.scalar(sa.select(unread)):
            study.state, study.first_received_at = StudyState.RECEIVING, now
        else:
            study.state = StudyState.COMPLETE
        return as_record(StudyRecord, study)

    def record_conflict(
        self, instance: ReceivedInstance, *, kind: ConflictKind, path: str, now: datetime
    ) -> ConflictRecord:
        """Note a file that was put aside at `path`, and why."""
        row = ConflictRow(
            kind=kind,
            study_instance_uid=instance.study_instance_uid,
            sop_instance_uid=instance.sop_instance_uid,
            calling_ae_title=instance.calling_ae_title,
            sha256=instance.sha256,
            path=path,
            recorded_at=now,
        )
        self._session.add(row)
        self._session.flush()
        return as_record(ConflictRecord, row)

    def conflicts(
        self, *, study_instance_uid: str | None = None, limit: int = 100, offset: int = 0
    ) -> tuple[ConflictRecord, ...]:
        """List the files that were put aside, the latest first."""
        query = sa.select(ConflictRow).order_by(ConflictRow.id.desc())
        if study_instance_uid is not None:
            query = query.where(ConflictRow.study_instance_uid == study_instance_uid)
        rows = self._session.scalars(query.limit(limit).offset(offset))
        return tuple(as_record(ConflictRecord, row) for row in rows)

    def _find_row(self, study_instance_uid: str) -> StudyRow | None:
        query = sa.select(StudyRow).where(StudyRow.study_instance_uid == study_instance_uid)
        return self._session.scalar(query.execution_options(populate_existing=True))

    def _first_received_at(self, study_id: int, generation: int) -> datetime | None:
        return self._session.scalar(
            sa.select(sa.func.min(InstanceRow.received_at)).where(
                InstanceRow.study_id == study_id, InstanceRow.generation == generation
            )
        )

    def _instances(self, study_id: int, generation: int) -> tuple[StoredInstance, ...]:
        query = (
            sa.select(InstanceRow, SeriesRow)
            .join(SeriesRow, SeriesRow.id == InstanceRow.series_id)
            .where(InstanceRow.study_id == study_id, InstanceRow.generation <= generation)
            .order_by(InstanceRow.id)
        )
        return tuple(as_record(StoredInstance, *rows) for rows in self._session.execute(query))


def _in_conflict(study_instance_uid: str, series_instance_uid: str | None) -> sa.Select[StudyRow]:
    """Select the study with this UID, and the study that holds the series, in their order."""
    holder = sa.select(SeriesRow.study_id).where(
        SeriesRow.series_instance_uid == series_instance_uid
    )
    return (
        sa.select(StudyRow)
        .where(sa.or_(StudyRow.study_instance_uid == study_instance_uid, StudyRow.id.in_(holder)))
        .order_by(StudyRow.id)
    )
