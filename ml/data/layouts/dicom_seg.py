"""DICOM studies with a Segmentation: our own results, corrected by a radiologist, or a site's own.

Any tree of folders; what belongs together is read from the headers. In each study the
Segmentation with the latest Content Date and Time counts, since a corrected one lies beside what
it corrects; it names its CT series (Referenced Series Sequence). Segments are matched to subtypes
by label or code, see `ml.readers.segmentation`. Other objects, reports among them, are ignored.

A study without a Segmentation is a fault unless the options say what that means; then it must have
exactly one CT series. Midline itself writes no Segmentation where the AI did not detect anything.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from config.errors import IncompleteInputError, UnreadableInputError, UnsupportedInputError
from ml.data.layouts.instances import Instance, grouped, index
from ml.data.sources import Content, Layout, MissingMasks, Options, SourceStudy, wrong_layout
from ml.data.studies import Truth
from ml.readers.attributes import number_of
from ml.readers.dicom import CT_SOP_CLASSES, read_series
from ml.readers.segmentation import (
    SEGMENTATION_SOP_CLASSES,
    read_segmentation,
    referenced_series,
)
from ml.volume import Mask


def find(source: Path, options: Options) -> Sequence[SourceStudy]:
    """List the studies that have CT images."""
    files = sorted(path for path in source.rglob("*") if path.is_file())
    instances, faults = index(files)
    studies = []
    for members in grouped(instances, lambda instance: instance.study).values():
        if any(instance.sop_class in CT_SOP_CLASSES for instance in members):
            shown = members[0].file.parent.relative_to(source)
            studies.append(
                SourceStudy(
                    where=f"study in {shown}",
                    patient=members[0].patient,
                    study=members[0].study,
                    read=partial(_read, members, options),
                )
            )
    for file, fault in faults.items():
        where = str(file.relative_to(source))
        studies.append(SourceStudy(where, where, where, partial(_refuse, fault)))
    if not studies:
        raise wrong_layout(source, LAYOUT.name, "DICOM CT images, in any folder below")
    return studies


LAYOUT = Layout(
    name="dicom-seg",
    about="DICOM CT studies, each with a Segmentation",
    name_space="dicom",
    find=find,
)


def _read(members: Sequence[Instance], options: Options) -> Content:
    if not members[0].patient or len({instance.patient for instance in members}) > 1:
        raise UnreadableInputError("its objects do not name one patient")
    by_series = grouped(
        (instance for instance in members if instance.sop_class in CT_SOP_CLASSES),
        lambda instance: instance.series,
    )
    segmentation = _latest(
        [instance for instance in members if instance.sop_class in SEGMENTATION_SOP_CLASSES]
    )
    if segmentation is None:
        if options.missing_masks is MissingMasks.REFUSE:
            raise IncompleteInputError(
                "it has no Segmentation; --missing-masks says what that means, if it is no loss"
            )
        if len(by_series) > 1:
            raise UnsupportedInputError(
                f"it has no Segmentation, and {len(by_series)} CT series: nobody says which one"
            )
        chosen = next(iter(by_series.values()))
    else:
        wanted = referenced_series(segmentation.file)
        if wanted not in by_series:
            raise IncompleteInputError("the CT series of its Segmentation is missing")
        chosen = by_series[wanted]
    series = read_series([instance.file for instance in chosen])
    thickness_mm = number_of(series.headers[0], "SliceThickness")
    if segmentation is not None:
        mask = read_segmentation(segmentation.file, series)
        return Content(series.volume, Truth(mask=mask), thickness_mm)
    if options.missing_masks is MissingMasks.UNLABELLED:
        return Content(series.volume, Truth(), thickness_mm)
    grid = series.volume.grid
    return Content(
        series.volume, Truth(mask=Mask(np.zeros(grid.shape, np.uint8), grid)), thickness_mm
    )


def _latest(segmentations: Sequence[Instance]) -> Instance | None:
    if not segmentations:
        return None
    ordered = sorted(segmentations, key=lambda instance: instance.content_time)
    if len(ordered) > 1 and ordered[-1].content_time == ordered[-2].content_time:
        raise UnsupportedInputError(
            f"it has {len(ordered)} Segmentations, and their Content Date and Time do not say which"
            " is the latest"
        )
    return ordered[-1]


def _refuse(fault: str) -> Content:
    raise UnreadableInputError(fault)
