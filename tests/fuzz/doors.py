"""The two doors, and what must hold whatever comes in: only our errors leave, and say nothing.

Used by the fuzz targets and by the property tests alike.
"""

import hashlib
import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage

from config.errors import (
    InputError,
    InstanceConflictError,
    MidlineError,
    PatientConflictError,
)
from config.log import configure
from ml.readers import isolation
from ml.readers.codecs import PixelFormat
from ml.readers.part10 import read_header
from ml.readers.pixels import supported_transfer_syntaxes
from node import pipeline
from node.custody import Stores, keep
from node.engine import Queues, migrate
from node.part10 import PREAMBLE
from node.reception import ReceptionError, Request
from node.selection import select_series
from storage.database import Database
from storage.files import FileStore
from tests.fuzz.seeds import PATIENT, PATIENT_ID, images
from tests.support.ct_series import write

MOST_BYTES = 1 << 20
UIDS = (str(images(1)[0].SOPInstanceUID), "", "../../x", "1.2.3", "1" * 65)
CLASSES = (str(CTImageStorage), str(EnhancedCTImageStorage), "1.2.3", "")
SYNTAXES = supported_transfer_syntaxes()


def request_of(control: int, data_set: bytes) -> Request:
    """Make a request: one byte says how honest it is about its data set."""
    syntax = SYNTAXES[control % 16 % len(SYNTAXES)]
    lie = control // 16
    return Request(
        sop_class_uid=CLASSES[lie - 8 if 8 <= lie < 12 else 0],
        sop_instance_uid=UIDS[lie - 11 if lie >= 12 else 0],
        transfer_syntax_uid=syntax,
        data_set=data_set,
    )


def control_of(syntax: str) -> int:
    """Control byte of an honest request in a transfer syntax."""
    return SYNTAXES.index(syntax)


@dataclass
class Place:
    """A store of its own in a folder of its own."""

    folder: Path
    stores: Stores
    kept: set[str] = field(default_factory=set)


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    """Make a store and its index in an empty folder."""
    database = Database(f"sqlite:///{folder / 'midline.sqlite'}")
    database.upgrade()
    migrate(database)
    queues = Queues(database.engine)
    files = FileStore(folder / "store", reserve_bytes=0)
    yield Place(folder, Stores(database, files, queues, max_instance_bytes=MOST_BYTES))
    queues.close()
    database.close()


def receive(request: Request, into: Place) -> bool:
    """Store a request; whether it was accepted."""
    sha256 = hashlib.sha256(request.data_set).hexdigest()
    file = into.folder / "store" / "received" / sha256[:2] / f"{sha256}.dcm"
    try:
        study_id = keep(request, into.stores, calling_ae_title="CT1")
    except ReceptionError as error:
        check_silent(error)
        assert file.exists() == (sha256 in into.kept)
        return False
    except (InstanceConflictError, PatientConflictError) as error:
        check_silent(error)
        assert (into.folder / "store" / "quarantine" / file.name).exists()
        return False
    finally:
        names = {path.name.split("-")[0] for path in into.folder.iterdir()}
        assert names <= {"store", "midline.sqlite"}
    assert study_id > 0
    content = file.read_bytes()
    assert content.startswith(PREAMBLE)
    assert content.endswith(request.data_set)
    into.kept.add(sha256)
    _read_again(file)
    return True


def _read_again(file: Path) -> None:
    """What was accepted is read, or refused in good order."""
    try:
        read_header(file)
    except InputError as error:
        check_silent(error)


def read(files: Sequence[Path]) -> bool:
    """Select and read a series as the node does; whether it was read."""
    selection = select_series(files)
    for rejected in selection.rejected:
        check_words(rejected.detail)
    try:
        series = pipeline.read_series(selection.chosen.files if selection.chosen else files)
    except InputError as error:
        check_silent(error)
        return False
    volume = series.volume
    assert volume.hu.shape == volume.grid.shape
    assert volume.hu.min() >= -1024
    assert np.isfinite(volume.grid.slice_origins_mm).all()
    assert len(series.frames) == len(volume.hu)
    try:
        pipeline.check_head(volume)
    except InputError as error:
        check_silent(error)
    return True


def siblings(folder: Path) -> list[Path]:
    """All slices of a series but the first, which is the one that is spoilt."""
    return write(images()[1:], folder)


def check_silent(error: MidlineError) -> None:
    """Make sure that an error says nothing of the patient, in one line."""
    check_words(str(error))


def check_words(words: str) -> None:
    """Make sure that words may be shown and logged."""
    assert words.isprintable(), "more than one line"
    for secret in (*PATIENT.split("^"), PATIENT_ID):
        assert secret not in words, "a message quotes the patient"


class Blank(isolation.Decoder):
    """Decodes any frame to air: codecs are not what is fuzzed, and each refusal costs a process."""

    def decode(self, frame: bytes, stored: PixelFormat) -> NDArray[np.integer]:
        """Decode a frame to zeros."""
        return np.zeros((stored.rows, stored.columns), stored.dtype)


@contextmanager
def blank_frames() -> Iterator[None]:
    """Decode no frame really."""
    real = isolation._own
    isolation._own = Blank()
    try:
        yield
    finally:
        isolation._own = real


class Eavesdropper(io.TextIOBase):
    """Listens to the log as the node writes it, and fails where it quotes the patient."""

    def write(self, words: str) -> int:
        """Look at what is written."""
        check_words(words.rstrip("\n"))
        return len(words)


def eavesdrop() -> None:
    """Write the log of this process as the node does, with an ear on it; no number overflows."""
    warnings.simplefilter("error", RuntimeWarning)
    configure("DEBUG", stream=Eavesdropper())
