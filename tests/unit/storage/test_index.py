"""Registration, completion and conflicts, also by several threads at once."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from threading import Barrier

import pytest

from config.errors import InstanceConflictError, PatientConflictError
from storage.database import Database, Transaction
from storage.records import CompleteStudy, ConflictKind, Registration, StudyRecord, StudyState
from tests.support.received import NOW, complete_study, received

QUIET_AFTER_RELEASE = timedelta(seconds=20)
QUIET_WITHOUT_RELEASE = timedelta(seconds=60)
DEADLINE = timedelta(seconds=900)
SECOND = timedelta(seconds=1)


def register(database: Database, *numbers: int, now: datetime = NOW) -> Registration:
    with database.begin() as transaction:
        for number in numbers[:-1]:
            transaction.studies.register(received(number), now=now)
        return transaction.studies.register(received(numbers[-1]), now=now)


def study_of(database: Database, study_id: int = 1) -> StudyRecord:
    with database.read() as transaction:
        study = transaction.studies.get(study_id)
    assert study is not None
    return study


def due(database: Database, *, at: datetime) -> tuple[int, ...]:
    with database.read() as transaction:
        return transaction.arrivals.due(
            now=at,
            quiet_after_release=QUIET_AFTER_RELEASE,
            quiet_without_release=QUIET_WITHOUT_RELEASE,
            deadline=DEADLINE,
        )


def together(actions: Sequence[Callable[[], object]]) -> list[object]:
    """Run actions in threads that start at the same moment; an error is a result as well."""
    barrier = Barrier(len(actions))

    def run(action: Callable[[], object]) -> object:
        barrier.wait(timeout=30)
        try:
            return action()
        except Exception as error:  # noqa: BLE001 - the test judges it
            return error

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))


def test_a_first_image_makes_a_study_and_a_repetition_only_counts(database: Database) -> None:
    assert register(database, 1) == Registration(study_id=1, is_new=True)
    assert register(database, 1, now=NOW + SECOND) == Registration(study_id=1, is_new=False)
    study = study_of(database)
    assert (study.num_instances, study.num_duplicates) == (1, 1)
    assert study.last_received_at == NOW
    assert study.state is StudyState.RECEIVING


def test_eight_threads_register_one_study_at_once(database: Database) -> None:
    actions = [partial(register, database, n) for n in range(8)]
    assert together(actions) == [Registration(study_id=1, is_new=True)] * 8
    assert study_of(database).num_instances == 8


def test_of_eight_threads_with_the_same_image_one_is_first(database: Database) -> None:
    answers = together([partial(register, database, 5)] * 8)
    assert sorted(str(answer) for answer in answers) == sorted(
        [str(Registration(1, is_new=True))] + [str(Registration(1, is_new=False))] * 7
    )
    assert study_of(database).num_duplicates == 7


def test_two_studies_that_race_for_one_sop_instance_uid_conflict(database: Database) -> None:
    def send(study: str) -> Registration:
        instance = received(1, study=study, series=f"{study}.1", content=study)
        with database.begin() as transaction:
            return transaction.studies.register(instance, now=NOW)

    answers = together([partial(send, study) for study in ("2.25.1", "2.25.2")])
    assert sorted(type(answer).__name__ for answer in answers) == [
        "InstanceConflictError",
        "Registration",
    ]
    with database.read() as transaction:
        assert len(transaction.studies.list_studies()) == 1


def test_other_content_under_a_known_uid_is_refused_and_can_be_noted(database: Database) -> None:
    register(database, 1)
    other = received(1, content="other")
    with pytest.raises(InstanceConflictError), database.begin() as transaction:
        transaction.studies.register(other, now=NOW)
    with database.begin() as transaction:
        transaction.studies.record_conflict(
            other, kind=ConflictKind.INSTANCE, path="quarantine/x.dcm", now=NOW
        )
    with database.read() as transaction:
        (conflict,) = transaction.studies.conflicts(study_instance_uid="2.25.1")
    assert conflict.kind is ConflictKind.INSTANCE
    assert conflict.path == "quarantine/x.dcm"
    assert study_of(database).num_instances == 1


def test_a_known_uid_under_another_study_is_refused_even_with_the_same_digest(
    database: Database,
) -> None:
    register(database, 1)
    moved = received(1, study="2.25.2", series="2.25.2.1")
    with pytest.raises(InstanceConflictError), database.begin() as transaction:
        transaction.studies.register(moved, now=NOW)


def test_content_is_compared_before_the_patient(database: Database) -> None:
    register(database, 1)
    with pytest.raises(InstanceConflictError), database.begin() as transaction:
        transaction.studies.register(received(1, patient="patient-b", content="x"), now=NOW)


def test_a_known_study_under_another_patient_is_refused(database: Database) -> None:
    register(database, 1)
    with pytest.raises(PatientConflictError), database.begin() as transaction:
        transaction.studies.register(received(2, patient="patient-b"), now=NOW)
    assert study_of(database).num_instances == 1


def test_a_known_series_under_another_study_is_refused_and_leaves_no_study(
    database: Database,
) -> None:
    register(database, 1)
    with pytest.raises(PatientConflictError), database.begin() as transaction:
        transaction.studies.register(received(2, study="2.25.2"), now=NOW)
    with database.read() as transaction:
        assert transaction.studies.find("2.25.2") is None
        assert len(transaction.studies.list_studies()) == 1


def test_a_quarantined_study_is_never_due_but_still_takes_images(database: Database) -> None:
    register(database, 1)
    with database.begin() as transaction:
        assert transaction.studies.quarantine("2.25.1") == (1,)
        assert transaction.studies.quarantine("2.25.1") == ()
    assert register(database, 2).is_new
    assert study_of(database).state is StudyState.QUARANTINED
    assert due(database, at=NOW + DEADLINE) == ()


def test_quarantine_also_takes_the_study_that_holds_the_series(database: Database) -> None:
    register(database, 1)
    with database.begin() as transaction:
        transaction.studies.register(received(2, study="2.25.2", series="2.25.2.1"), now=NOW)
        concerned = transaction.studies.in_conflict("2.25.2", series_instance_uid="2.25.1.1")
        taken = transaction.studies.quarantine("2.25.2", series_instance_uid="2.25.1.1")
        counts = transaction.studies.counts()
    assert [study.study_instance_uid for study in concerned] == ["2.25.1", "2.25.2"]
    assert taken == (1, 2)
    assert counts[StudyState.QUARANTINED] == 2


def test_a_readmitted_study_waits_for_completion_or_stays_complete(database: Database) -> None:
    register(database, 1)
    with database.begin() as transaction:
        transaction.studies.quarantine("2.25.1")
        study = transaction.studies.readmit(1, now=NOW + SECOND)
        assert study is not None
        assert study.state is StudyState.RECEIVING
        assert study.first_received_at == NOW + SECOND
        assert transaction.studies.readmit(1, now=NOW) is None
        complete_study(transaction, 1)
        transaction.studies.quarantine("2.25.1")
        study = transaction.studies.readmit(1, now=NOW)
        assert study is not None
        assert study.state is StudyState.COMPLETE


def test_a_study_is_due_some_time_after_its_release(database: Database) -> None:
    register(database, 1)
    with database.begin() as transaction:
        transaction.arrivals.release([1], now=NOW + SECOND)
    assert due(database, at=NOW + QUIET_AFTER_RELEASE) == ()
    assert due(database, at=NOW + SECOND + QUIET_AFTER_RELEASE) == (1,)


def test_an_image_after_the_release_starts_the_longer_wait(database: Database) -> None:
    register(database, 1)
    with database.begin() as transaction:
        transaction.arrivals.release([1], now=NOW + SECOND)
    register(database, 2, now=NOW + 2 * SECOND)
    assert due(database, at=NOW + SECOND + QUIET_AFTER_RELEASE) == ()
    assert due(database, at=NOW + 2 * SECOND + QUIET_WITHOUT_RELEASE) == (1,)


def test_a_repetition_does_not_delay_completion(database: Database) -> None:
    register(database, 1)
    with database.begin() as transaction:
        transaction.arrivals.release([1], now=NOW)
    register(database, 1, now=NOW + 10 * SECOND)
    assert due(database, at=NOW + QUIET_AFTER_RELEASE) == (1,)


def test_the_deadline_holds_while_images_keep_coming(database: Database) -> None:
    for seconds in range(0, 900, 30):
        register(database, seconds, now=NOW + seconds * SECOND)
    assert due(database, at=NOW + DEADLINE - SECOND) == ()
    assert due(database, at=NOW + DEADLINE) == (1,)


def test_completion_lists_all_images_and_keeps_its_evidence(database: Database) -> None:
    register(database, 1, 2, 3)
    with database.begin() as transaction:
        complete = transaction.studies.complete(
            1, last_received_at=NOW, now=NOW + SECOND, evidence="quiet after release"
        )
    with database.read() as transaction:
        assert transaction.studies.read_complete(1, 1) == complete
        assert transaction.studies.read_complete(1, 2) is None
    assert complete is not None
    assert complete.generation == 1
    assert complete.evidence == "quiet after release"
    assert [each.sha256 for each in complete.instances] == [received(n).sha256 for n in (1, 2, 3)]
    assert due(database, at=NOW + DEADLINE) == ()


def test_an_image_that_lands_before_completion_prevents_it(database: Database) -> None:
    register(database, 1)
    seen = study_of(database)
    register(database, 2, now=NOW + SECOND)
    with database.begin() as transaction:
        late = transaction.studies.complete(
            1, last_received_at=seen.last_received_at, now=NOW + SECOND, evidence="quiet"
        )
    assert late is None
    assert study_of(database).generation == 0


def test_of_many_threads_that_complete_a_study_exactly_one_does(database: Database) -> None:
    register(database, 1)

    def complete() -> CompleteStudy | None:
        with database.begin() as transaction:
            return transaction.studies.complete(1, last_received_at=NOW, now=NOW, evidence="quiet")

    answers = together([complete] * 4)
    assert len([answer for answer in answers if isinstance(answer, CompleteStudy)]) == 1
    assert answers.count(None) == 3
    assert study_of(database).generation == 1


def test_no_image_falls_between_completion_and_registration(database: Database) -> None:
    register(database, 1)

    def complete() -> object:
        with database.begin() as transaction:
            return transaction.studies.complete(1, last_received_at=NOW, now=NOW, evidence="quiet")

    actions: list[Callable[[], object]] = [complete]
    actions += [partial(register, database, n) for n in range(2, 6)]
    complete_answer = together(actions)[0]
    assert isinstance(complete_answer, CompleteStudy)
    late = 5 - len(complete_answer.instances)
    study = study_of(database)
    assert study.num_instances == 5
    assert study.state is (StudyState.RECEIVING if late else StudyState.COMPLETE)


def test_a_late_image_reopens_the_study_towards_its_next_generation(database: Database) -> None:
    register(database, 1, 2)
    with database.begin() as transaction:
        transaction.arrivals.release([1], now=NOW)
        complete_study(transaction, 1)
    later = NOW + timedelta(hours=1)
    register(database, 3, now=later)
    study = study_of(database)
    assert study.state is StudyState.RECEIVING
    assert (study.generation, study.first_received_at, study.released_at) == (1, later, None)
    assert due(database, at=later + SECOND) == ()
    with database.begin() as transaction:
        second = complete_study(transaction, 1)
        first = transaction.studies.read_complete(1, 1)
    assert first is not None
    assert [len(first.instances), len(second.instances)] == [2, 3]
    assert second.generation == 2


def test_a_repetition_after_completion_opens_no_generation(database: Database) -> None:
    register(database, 1)
    with database.begin() as transaction:
        complete_study(transaction, 1)
    assert not register(database, 1).is_new
    assert study_of(database).state is StudyState.COMPLETE


def test_a_release_after_completion_changes_nothing(database: Database) -> None:
    register(database, 1)
    with database.begin() as transaction:
        complete_study(transaction, 1)
        transaction.arrivals.release([1], now=NOW)
    assert study_of(database).released_at is None


def test_studies_are_listed_by_their_last_image(database: Database) -> None:
    with database.begin() as transaction:
        for n in range(4):
            uid = f"2.25.{n}"
            instance = received(n, study=uid, series=f"{uid}.1")
            transaction.studies.register(instance, now=NOW + n * SECOND)
        assert listed(transaction, limit=2, offset=1) == ["2.25.2", "2.25.1"]
        assert listed(transaction, state=StudyState.COMPLETE) == []


def listed(transaction: Transaction, **how: object) -> list[str]:
    studies = transaction.studies.list_studies(**how)  # type: ignore[arg-type]
    return [study.study_instance_uid for study in studies]
