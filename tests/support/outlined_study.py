"""A study as an analysis leaves it in index and store: images, a mask with blood, a report."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from ml.phantom import Phantom
from ml.readers.dicom import read_series
from ml.volume import Mask, Subtype
from node.results.headers import encode
from node.results.segmentation import build_segmentation
from storage.database import Database
from storage.files import FileStore, StoredFile
from storage.records import JobRecord, NewResult
from storage.tables import JobRow, ResultRow
from tests.support.ct_series import head_series, series_of, stack, write
from tests.support.received import queued_job
from tests.support.result_inputs import make_context

SLICE = 7
"""Index of the slice on which most is outlined."""


def outlined_job(database: Database, files: FileStore, folder: Path) -> JobRecord:
    """Enter a job whose report says SDH, outlined on some slices and most on one."""
    images = head_series(stack(), name="outlined")
    labels = np.zeros((len(images), images[0].Rows, images[0].Columns), np.uint8)
    labels[SLICE - 1 : SLICE + 2, 25:35, 20:30] = Subtype.SDH
    labels[SLICE, 20:40, 20:30] = Subtype.SDH
    job = queued_job(database, study=str(images[0].StudyInstanceUID))
    kept, stored, mask = _stored(files, folder, job.id, images, labels)
    now = datetime.now(UTC)
    with database.begin() as transaction:
        transaction.jobs.start(job.id, "analyse-1", now=now)
        result = NewResult(
            kind="SEG",
            sop_class_uid=str(mask.SOPClassUID),
            sop_instance_uid=str(mask.SOPInstanceUID),
            path=stored.path,
            sha256=stored.sha256,
            position=0,
        )
        transaction.results.record(job.id, [result], ["pacs"], now=now)
        finished = transaction.jobs.finish(
            job.id,
            outcome="POSITIVE",
            findings_json=json.dumps({"volume_ml": {"SDH": 12.3}, "side": {"SDH": "LEFT"}}),
            analysed_json=kept,
            now=now,
        )
    assert finished is not None
    return finished


def give_images(
    database: Database, files: FileStore, folder: Path, job_id: int, phantom: Phantom
) -> None:
    """Give a job of `many_studies.fill` the images of a phantom, and the mask of its blood."""
    images = series_of(phantom.volume, name="phantom", WindowCenter="40", WindowWidth="80")
    kept, stored, _ = _stored(files, folder, job_id, images, phantom.mask.labels)
    with database.begin() as transaction:
        of_job = sa.and_(ResultRow.job_id == job_id, ResultRow.kind == "SEG")
        transaction.session.execute(sa.update(ResultRow).where(of_job).values(path=stored.path))
        changed = sa.update(JobRow).where(JobRow.id == job_id).values(analysed_json=kept)
        transaction.session.execute(changed)


def _stored(
    files: FileStore,
    folder: Path,
    job_id: int,
    images: Sequence[Dataset],
    labels: NDArray[np.uint8],
) -> tuple[str, StoredFile, Dataset]:
    """Put images and mask into the store; what the index keeps of the images, and the mask."""
    written = write(images, folder)
    series = read_series(written)
    header = series.headers[0]
    context = make_context(
        study_instance_uid=str(header.StudyInstanceUID),
        series_instance_uid=str(header.SeriesInstanceUID),
    )
    mask, _ = build_segmentation(context, series, Mask(labels, series.volume.grid))
    stored = files.write_result(encode(mask), job_id=job_id)
    kept = [files.write_result(image.read_bytes(), job_id=job_id).path for image in written]
    return json.dumps({"files": kept}), stored, mask
