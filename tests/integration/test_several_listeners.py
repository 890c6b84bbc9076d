"""Several listeners with one index: none takes a study for complete that another still receives."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydicom.dataset import Dataset

from node.peers import Peer
from storage.database import Database
from storage.records import StudyRecord, StudyState, WorkerRecord
from tests.integration.test_completeness import CT_IMAGE, PATIENT, head
from tests.support.completing import Completing, completing
from tests.support.sender import calling, store
from tests.support.service import program, write_settings
from tests.support.waiting import eventually, port_is_open

PATIENCE = timedelta(seconds=60)
MOST_ASSOCIATIONS = 8
"""The system deals them out by chance; an address may have ten open."""


@pytest.fixture
def listeners(tmp_path: Path) -> Iterator[tuple[Completing, Completing]]:
    with (
        completing(tmp_path, completion=PATIENT) as first,
        completing(tmp_path, completion=PATIENT) as second,
    ):
        yield first, second


def state(node: Completing, images: list[Dataset]) -> StudyState | None:
    study = node.study(images[0].StudyInstanceUID)
    return None if study is None else study.state


def test_a_study_that_comes_by_two_listeners_is_complete_when_both_are_done(
    listeners: tuple[Completing, Completing],
) -> None:
    first, second = listeners
    images = head("by two")
    with calling(second.peer, [CT_IMAGE]) as association:
        association.send_c_store(images[0])
        store(first.peer, images[1:])
        # whatever the first one looks at meanwhile, the sender still calls the second
        other = head("another")
        store(first.peer, other, ae_title="CT9")
        first.completed(other[0].StudyInstanceUID)
        assert state(first, images) is StudyState.RECEIVING
    assert len(first.completed(images[0].StudyInstanceUID).instances) == len(images)
    assert len(first.jobs(images[0].StudyInstanceUID)) == 1


@contextmanager
def opened(folder: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{folder / 'data' / 'midline.sqlite'}")
    try:
        yield database
    finally:
        database.close()


def study_of(database: Database, image: Dataset) -> StudyRecord:
    with database.read() as transaction:
        study = transaction.studies.find(image.StudyInstanceUID)
    assert study is not None
    return study


def is_interrupted(database: Database, study_id: int) -> bool:
    with database.read() as transaction:
        study = transaction.studies.get(study_id)
    return study is not None and study.is_interrupted


def receiver_of(database: Database, image: Dataset) -> int:
    """Process that received an image on an association which is open."""
    query = sa.text(
        "SELECT listener FROM association JOIN sending ON association_id = association.id"
        " WHERE study_id = :study_id"
    )
    with database.engine.connect() as connection:
        number = study_of(database, image).id
        listener = connection.execute(query, {"study_id": number}).scalar_one()
    return next(w.pid for w in listeners_of(database).values() if w.executor_id == listener)


@contextmanager
def listening(config: Path) -> Iterator[int]:
    """Run a listener in a process of its own; its number."""
    process = subprocess.Popen([*program(config), "listen"], stdin=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def listeners_of(database: Database) -> dict[int, WorkerRecord]:
    with database.read() as transaction:
        now, timeout = transaction.now(), PATIENCE
        return {each.pid: each for each in transaction.workers.alive(now=now, timeout=timeout)}


def test_a_port_is_shared_and_who_is_killed_leaves_interrupted_studies(tmp_path: Path) -> None:
    config, peer = write_settings(
        tmp_path, Peer("PACS", "127.0.0.1", 1), node={"listeners": 2}, completion=dict(PATIENT)
    )
    with ExitStack() as stack:
        pids = [stack.enter_context(listening(config)) for _ in range(2)]
        eventually(lambda: port_is_open(peer.port), seconds=60)
        database = stack.enter_context(opened(tmp_path))
        eventually(lambda: set(pids) <= set(listeners_of(database)), seconds=60)
        held: dict[int, StudyRecord] = {}
        for number in range(MOST_ASSOCIATIONS):
            image = head(f"shared {number}")[0]
            association = stack.enter_context(calling(peer, [CT_IMAGE]))
            assert association.send_c_store(image).Status == 0
            held.setdefault(receiver_of(database, image), study_of(database, image))
            if len(held) == len(pids):
                break
        assert set(held) == set(pids)
        os.kill(pids[0], signal.SIGKILL)
        killed, other = held[pids[0]], held[pids[1]]
        eventually(lambda: is_interrupted(database, killed.id), seconds=30)
        assert not is_interrupted(database, other.id)
