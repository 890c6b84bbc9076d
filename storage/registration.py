"""Entering an image that was received: the one thing that the index does for every image.

What happens for each image is three statements; studies and series, of which there are few, are
made by way of objects. Whoever registers locks the study's row first, so a completion and a late
image happen one after the other, never in between.
"""

from datetime import datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from config.errors import InstanceConflictError, PatientConflictError
from storage.records import ReceivedInstance, Registration, StudyState
from storage.tables import Base, InstanceRow, ResultRow, SeriesRow, StudyRow

LONGEST_PAUSE_SECONDS = 60.0
"""Whoever sends more of a study after a longer pause does so for another reason."""

# the tables themselves: the mapped classes would take a longer way
_INSTANCES = cast("sa.Table", InstanceRow.__table__)
_STUDIES = cast("sa.Table", StudyRow.__table__)
_SERIES = cast("sa.Table", SeriesRow.__table__)
_RESULTS = cast("sa.Table", ResultRow.__table__)
_BY_UID = _INSTANCES.c.sop_instance_uid == sa.bindparam("sop_instance_uid")
_BY_SERIES = _SERIES.c.series_instance_uid == sa.bindparam("series_instance_uid")
_STUDY: sa.Executable = (
    sa.select(
        _STUDIES.c.id,
        _STUDIES.c.patient_key,
        _STUDIES.c.state,
        _STUDIES.c.generation,
        _STUDIES.c.released_at,
        _STUDIES.c.longest_pause_seconds,
        sa.select(_INSTANCES.c.sha256).where(_BY_UID).scalar_subquery().label("held_sha256"),
        sa.select(_INSTANCES.c.study_id).where(_BY_UID).scalar_subquery().label("held_by"),
        sa.select(_SERIES.c.id).where(_BY_SERIES).scalar_subquery().label("series_id"),
        sa.select(_SERIES.c.study_id).where(_BY_SERIES).scalar_subquery().label("series_of"),
        sa.select(_RESULTS.c.id)
        .where(_RESULTS.c.sop_instance_uid == sa.bindparam("sop_instance_uid"))
        .scalar_subquery()
        .label("result_id"),
    )
    .where(_STUDIES.c.study_instance_uid == sa.bindparam("study_instance_uid"))
    .with_for_update(of=_STUDIES)
)
_ADD_INSTANCE = sa.insert(_INSTANCES)
_NOTE_DUPLICATE = (
    sa.update(_STUDIES)
    .where(_STUDIES.c.id == sa.bindparam("study_id"))
    .values(num_duplicates=_STUDIES.c.num_duplicates + 1)
)
_NOTE_IMAGE = (
    sa.update(_STUDIES)
    .where(_STUDIES.c.id == sa.bindparam("study_id"))
    .values(
        num_instances=_STUDIES.c.num_instances + 1,
        last_received_at=sa.bindparam("now"),
        longest_pause_seconds=sa.bindparam("longest_pause"),
        calling_ae_title=sa.bindparam("caller"),
        files_removed_at=None,
        released_at=None,
    )
)
_REOPEN = (
    sa.update(_STUDIES)
    .where(_STUDIES.c.id == sa.bindparam("study_id"), _STUDIES.c.state == StudyState.COMPLETE)
    .values(
        state=StudyState.RECEIVING,
        first_received_at=sa.bindparam("now"),
        is_interrupted=False,
        expected_instances=None,
        expected_by=None,
    )
)


def register(session: Session, instance: ReceivedInstance, *, now: datetime) -> Registration:
    """Enter an image that is safe on the disk; an identical repetition only counts.

    A new image of a complete study opens the study's next generation.

    Raises
    ------
    InstanceConflictError
        If the SOP Instance UID is known with other content, or a result's. Roll back, then
        record the conflict in a transaction of its own.
    PatientConflictError
        If the study is known under another patient, or the series under another study. Roll
        back, then quarantine and record the conflict in a transaction of their own.
    """
    uids = {
        "study_instance_uid": instance.study_instance_uid,
        "series_instance_uid": instance.series_instance_uid,
        "sop_instance_uid": instance.sop_instance_uid,
    }
    connection = session.connection()
    study = connection.execute(_STUDY, uids).one_or_none()
    if study is None:
        _insert(session, _new_study(instance, now=now))  # or somebody else has just done so
        study = connection.execute(_STUDY, uids).one_or_none()
    if study is None:
        raise PatientConflictError("the study was removed while an image of it arrived")
    if _is_held(instance, study):
        connection.execute(_NOTE_DUPLICATE, {"study_id": study.id})
        return Registration(study.id, is_new=False)
    if study.patient_key != instance.patient_key:
        raise PatientConflictError("the study is known under another patient")
    series_id = _series_id(session, instance.series_instance_uid, study)
    try:
        values = _instance_values(instance, study, series_id, now=now)
        connection.execute(_ADD_INSTANCE, values)
    except IntegrityError as error:
        # the study is locked: only an image of another study can have been faster
        raise InstanceConflictError("the SOP Instance UID is known in another study") from error
    _note(connection, study, instance.calling_ae_title, now=now)
    return Registration(study.id, is_new=True)


def _is_held(instance: ReceivedInstance, study: sa.Row[Any]) -> bool:
    """Whether the same image is held; other content under its UID is a conflict."""
    if study.held_by is None:
        if study.result_id is not None:
            raise InstanceConflictError("the SOP Instance UID is that of a result")
        return False
    if study.held_sha256 != instance.sha256 or study.held_by != study.id:
        raise InstanceConflictError("the SOP Instance UID is known with other content")
    return True


def _series_id(session: Session, series_instance_uid: str, study: sa.Row[Any]) -> int:
    """Find the series, or make it, in its one study."""
    series_id, series_of = study.series_id, study.series_of
    if series_id is None:
        _insert(session, SeriesRow(study_id=study.id, series_instance_uid=series_instance_uid))
        query = sa.select(_SERIES.c.id, _SERIES.c.study_id).where(_BY_SERIES)
        uid = {"series_instance_uid": series_instance_uid}
        found = session.connection().execute(query, uid).one()
        series_id, series_of = found
    if series_of != study.id:
        raise PatientConflictError("the series is known under another study")
    return int(series_id)


def _note(
    connection: sa.Connection, study: sa.Row[Any], calling_ae_title: str, *, now: datetime
) -> None:
    """Note a new image: a complete study is received again, towards its next generation."""
    if study.state == StudyState.COMPLETE:
        connection.execute(_REOPEN, {"study_id": study.id, "now": now})
    longest = study.longest_pause_seconds
    if study.released_at is not None:
        longest = _longer_pause(longest, now - study.released_at)
    connection.execute(
        _NOTE_IMAGE,
        {
            "study_id": study.id,
            "now": now,
            "longest_pause": longest,
            "caller": calling_ae_title,
        },
    )


def _longer_pause(longest: float | None, pause: timedelta) -> float | None:
    """Longest pause of a study, with one more: from a release to the next new image, seconds."""
    seconds = pause.total_seconds()
    if seconds > LONGEST_PAUSE_SECONDS:
        return longest
    return max(seconds, longest or 0.0, 0.0)


def _insert(session: Session, row: Base) -> bool:
    """Insert a row, unless another transaction inserted the same one first."""
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        return False
    return True


def _new_study(instance: ReceivedInstance, *, now: datetime) -> StudyRow:
    return StudyRow(
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


def _instance_values(
    instance: ReceivedInstance, study: sa.Row[Any], series_id: int, *, now: datetime
) -> dict[str, object]:
    """Values of the row of an image that comes for the study's next generation."""
    return {
        "study_id": study.id,
        "series_id": series_id,
        "generation": study.generation + 1,
        "sop_instance_uid": instance.sop_instance_uid,
        "sop_class_uid": instance.sop_class_uid,
        "transfer_syntax_uid": instance.transfer_syntax_uid,
        "calling_ae_title": instance.calling_ae_title,
        "sha256": instance.sha256,
        "num_bytes": instance.num_bytes,
        "path": instance.path,
        "geometry_json": instance.geometry_json,
        "received_at": now,
    }
