"""A study as an analysis leaves it in index and store: images, a mask with blood, a report."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ml.readers.dicom import read_series
from ml.volume import Mask, Subtype
from node.results.headers import encode
from node.results.segmentation import build_segmentation
from storage.database import Database
from storage.files import FileStore
from storage.records import JobRecord, NewResult
from tests.support.ct_series import head_series, stack, write
from tests.support.received import queued_job
from tests.support.result_inputs import make_context

ROWS, COLUMNS = slice(60, 80), slice(40, 60)
SLICE = 7


def outlined_job(database: Database, files: FileStore, folder: Path) -> JobRecord:
    """Enter a job whose report says SDH, outlined on some slices and most on one."""
    images = write(head_series(stack(), name="outlined"), folder)
    series = read_series(images)
    labels = np.zeros(series.volume.hu.shape, np.uint8)
    labels[SLICE - 1 : SLICE + 2, ROWS, COLUMNS] = Subtype.SDH
    labels[SLICE, 55:85, 40:60] = Subtype.SDH
    header = series.headers[0]
    context = make_context(
        study_instance_uid=str(header.StudyInstanceUID),
        series_instance_uid=str(header.SeriesInstanceUID),
    )
    segmentation, _ = build_segmentation(context, series, Mask(labels, series.volume.grid))
    job = queued_job(database, study=str(header.StudyInstanceUID))
    stored = files.write_result(encode(segmentation), job_id=job.id)
    kept = [files.write_result(image.read_bytes(), job_id=job.id).path for image in images]
    now = datetime.now(UTC)
    with database.begin() as transaction:
        transaction.jobs.start(job.id, "analyse-1", now=now)
        result = NewResult(
            kind="SEG",
            sop_class_uid=str(segmentation.SOPClassUID),
            sop_instance_uid=str(segmentation.SOPInstanceUID),
            path=stored.path,
            sha256=stored.sha256,
            position=0,
        )
        transaction.results.record(job.id, [result], ["pacs"], now=now)
        finished = transaction.jobs.finish(
            job.id,
            outcome="POSITIVE",
            findings_json=json.dumps({"volume_ml": {"SDH": 12.3}, "side": {"SDH": "LEFT"}}),
            analysed_json=json.dumps({"files": kept}),
            now=now,
        )
    assert finished is not None
    return finished
