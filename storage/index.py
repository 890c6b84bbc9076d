"""The index of studies: which images are held, when a study is complete, and what conflicts.

Whoever changes a study locks its row first, so a completion and a late image happen one after the
other, never in between.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from config.errors import InstanceConflictError, PatientConflictError
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
from storage.tables import (
    Base,
    CompletionRow,
    ConflictRow,
    InstanceRow,
    SeriesRow,
    StudyRow,
    as_record,
)

LONGEST_PAUSE_SECONDS = 60.0
"""Whoever sends more of a study after a longer pause does so for another reason."""


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
            If the SOP Instance UID is known with other content. Roll back, then
            `record_conflict` in a transaction of its own.
        PatientConflictError
            If the study is known under another patient, or the series under another study. Roll
            back, then `quarantine` and `record_conflict` in a transaction of their own.
        """
        study = self._locked_study(instance, now=now)
        if self._is_held(instance, study):
            study.num_duplicates += 1
            return Registration(study.id, is_new=False)
        if study.patient_key != instance.patient_key:
            raise PatientConflictError("the study is known under another patient")
        series = self._series(instance.series_instance_uid, study)
        if not self._insert(_instance_row(instance, study, series, now=now)):
            self._is_held(instance, study)  # raises: only another study can have been faster
        self._reopen(study, instance.calling_ae_title, now=now)
        return Registration(study.id, is_new=True)

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

    def _find_row(self, study_instance_uid: str, *, lock: bool = False) -> StudyRow | None:
        query = sa.select(StudyRow).where(StudyRow.study_instance_uid == study_instance_uid)
        query = query.execution_options(populate_existing=True)
        return self._session.scalar(query.with_for_update() if lock else query)

    def _locked_study(self, instance: ReceivedInstance, *, now: datetime) -> StudyRow:
        """Find the study's row, or make it, and hold it until the transaction ends."""
        row = self._find_row(instance.study_instance_uid, lock=True)
        if row is not None:
            return row
        new = StudyRow(
            study_instance_uid=instance.study_instance_uid,
            patient_key=instance.patient_key,
            state=StudyState.RECEIVING,
            generation=0,
            num_instances=0,
            num_duplicates=0,
            first_received_at=now,
            last_received_at=now,
            calling_ae_title=instance.calling_ae_title,
            is_interrupted=False,
        )
        if self._insert(new):
            return new
        row = self._find_row(instance.study_instance_uid, lock=True)
        if row is None:
            raise PatientConflictError("the study was removed while an image of it arrived")
        return row

    def _series(self, series_instance_uid: str, study: StudyRow) -> SeriesRow:
        """Find the series, or make it, in its one study."""
        query = sa.select(SeriesRow).where(SeriesRow.series_instance_uid == series_instance_uid)
        row = self._session.scalar(query)
        if row is None:
            row = SeriesRow(study_id=study.id, series_instance_uid=series_instance_uid)
            if not self._insert(row):
                row = self._session.scalars(query).one()
        if row.study_id != study.id:
            raise PatientConflictError("the series is known under another study")
        return row

    def _is_held(self, instance: ReceivedInstance, study: StudyRow) -> bool:
        """Whether the same image is held; other content under its UID is a conflict."""
        query = sa.select(InstanceRow).where(
            InstanceRow.sop_instance_uid == instance.sop_instance_uid
        )
        row = self._session.scalar(query)
        if row is None:
            return False
        if row.sha256 != instance.sha256 or row.study_id != study.id:
            raise InstanceConflictError("the SOP Instance UID is known with other content")
        return True

    def _reopen(self, study: StudyRow, calling_ae_title: str, *, now: datetime) -> None:
        """Note a new image: a complete study is received again, towards its next generation."""
        if study.state == StudyState.COMPLETE:
            study.state = StudyState.RECEIVING
            study.first_received_at = now
            study.is_interrupted = False
            study.expected_instances = study.expected_by = None
        if study.released_at is not None:
            study.longest_pause_seconds = _longer_pause(study, now - study.released_at)
        study.num_instances += 1
        study.last_received_at = now
        study.released_at = None
        study.calling_ae_title = calling_ae_title

    def _insert(self, row: Base) -> bool:
        """Insert a row, unless another transaction inserted the same one first."""
        try:
            with self._session.begin_nested():
                self._session.add(row)
        except IntegrityError:
            return False
        return True

    def _instances(self, study_id: int, generation: int) -> tuple[StoredInstance, ...]:
        query = (
            sa.select(InstanceRow, SeriesRow)
            .join(SeriesRow, SeriesRow.id == InstanceRow.series_id)
            .where(InstanceRow.study_id == study_id, InstanceRow.generation <= generation)
            .order_by(InstanceRow.id)
        )
        return tuple(as_record(StoredInstance, *rows) for rows in self._session.execute(query))


def _longer_pause(study: StudyRow, pause: timedelta) -> float | None:
    """Longest pause of a study, with one more: from a release to the next new image, seconds."""
    longest, seconds = study.longest_pause_seconds, pause.total_seconds()
    if seconds > LONGEST_PAUSE_SECONDS:
        return longest
    return max(seconds, longest or 0.0, 0.0)


def _instance_row(
    instance: ReceivedInstance, study: StudyRow, series: SeriesRow, *, now: datetime
) -> InstanceRow:
    """Make the row of an image that comes for the study's next generation."""
    return InstanceRow(
        study_id=study.id,
        series_id=series.id,
        generation=study.generation + 1,
        sop_instance_uid=instance.sop_instance_uid,
        sop_class_uid=instance.sop_class_uid,
        transfer_syntax_uid=instance.transfer_syntax_uid,
        calling_ae_title=instance.calling_ae_title,
        sha256=instance.sha256,
        num_bytes=instance.num_bytes,
        path=instance.path,
        geometry_json=instance.geometry_json,
        received_at=now,
    )


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
