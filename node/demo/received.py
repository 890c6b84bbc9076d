"""What the PACS got, read back as a consumer would: the report's codes, the segmentation's masks.

Nothing here asks the node: what is shown is what arrived.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import highdicom as hd
import numpy as np

from ml.readers.dicom import Series, read_series
from ml.volume import Mask, Subtype
from node.demo.studies import SyntheticStudy, in_words
from node.results import codes
from node.results.outcomes import (
    DISCLAIMER,
    STATUS_CODES,
    WORDINGS,
    Outcome,
    Presence,
    Wording,
)
from node.results.picture import draw_montage, encode_png
from node.results.read_report import Conclusion, ReadBack, read_report

NO_WORDING = Wording("NO RESULT", "AI: NO RESULT", "The report says nothing that can be relied on.")
EXPECTED = {True: Conclusion.POSITIVE, False: Conclusion.NEGATIVE}
"""What a report must conclude about a head with and without haemorrhage."""


@dataclass(frozen=True)
class Answer:
    """What came back for a study.

    Attributes
    ----------
    study
        What was sent.
    report_path, segmentation_path
        Files of the PACS; there is no segmentation without findings.
    report
        What the report says in codes.
    seconds
        From the last image to the report.
    """

    study: SyntheticStudy
    report_path: Path
    segmentation_path: Path | None
    report: ReadBack
    seconds: float

    @property
    def wording(self) -> Wording:
        """The words that belong to the report's codes."""
        for (outcome, presence), wording in WORDINGS.items():
            if self._says(outcome, presence):
                return wording
        return NO_WORDING

    @property
    def found_in_words(self) -> str:
        """Subtypes with the volumes that the report states."""
        return in_words(self.report.volumes_ml)

    @property
    def fault(self) -> str:
        """What is wrong with the answer, knowing the truth; empty if nothing."""
        truth: Mapping[Subtype, float] = self.study.volumes_ml
        expected = EXPECTED[bool(truth)]
        if self.report.conclusion is not expected:
            return f"the report says {self.report.conclusion}, the head was made {expected}"
        main = max(truth, key=lambda subtype: truth[subtype], default=None)
        if main is not None and main not in self.report.volumes_ml:
            return f"{main.name} was not found, which the head was made with"
        return ""

    def _says(self, outcome: Outcome, presence: Presence) -> bool:
        report = self.report
        concludes = report.conclusion is not Conclusion.NO_RESULT
        said = report.status == STATUS_CODES[outcome].meaning and report.presence is presence
        # statements that contradict each other are no result, whatever each of them says
        return said and concludes == (presence is not Presence.UNDETERMINED)


def read_answer(
    study: SyntheticStudy, report: Path, segmentation: Path | None, *, seconds: float
) -> Answer:
    """Read what arrived for a study."""
    return Answer(study, report, segmentation, read_report(report), seconds)


def draw(answer: Answer) -> bytes:
    """Draw the received segmentation on the images that were sent; PNG."""
    series = read_series(answer.study.slices)
    mask = Mask(np.zeros(series.volume.grid.shape, np.uint8), series.volume.grid)
    if answer.segmentation_path is not None:
        mask = read_mask(answer.segmentation_path, series)
    lines = [answer.wording.sentence]
    lines += [
        f"{codes.SUBTYPES[subtype].title} ({subtype.name}): {ml:.1f} ml"
        for subtype, ml in sorted(answer.report.volumes_ml.items(), key=lambda pair: -pair[1])
    ]
    lines.append("Drawn from the objects that the PACS received.")
    picture = draw_montage(
        series.volume, mask, title=answer.wording.headline, lines=lines, disclaimer=DISCLAIMER
    )
    return encode_png(picture)


def read_mask(segmentation: Path, series: Series) -> Mask:
    """Put the segments of a Segmentation back on the series that it refers to.

    Parameters
    ----------
    segmentation
        A Segmentation whose segments are labelled with names of subtypes.
    series
        Single-frame images, one for each slice.
    """
    read = hd.seg.segread(segmentation)
    uids = [str(series.headers[frame.dataset_index].SOPInstanceUID) for frame in series.frames]
    numbers = sorted(read.segment_numbers)
    planes = read.get_pixels_by_source_instance(
        uids, segment_numbers=numbers, assert_missing_frames_are_empty=True
    )
    labels = np.zeros(series.volume.grid.shape, np.uint8)
    for index, number in enumerate(numbers):
        subtype = Subtype[str(read.get_segment_description(number).segment_label)]
        labels[planes[..., index] > 0] = subtype
    return Mask(labels, series.volume.grid)
