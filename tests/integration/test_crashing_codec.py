"""A frame that crashes its codec costs one study: it is reported, and the next one is analysed."""

from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEGLosslessSV1

from config.errors import Reason
from node.results.outcomes import Outcome
from node.results.read_report import Conclusion
from tests.integration.test_analysis import Site, bleeding, site
from tests.support.transcoding import write_as

__all__ = ["site"]


def compressed(images: list[Dataset], folder: Path) -> list[Dataset]:
    """The same images in JPEG Lossless, which gdcm decodes."""
    return [dcmread(write_as(image, JPEGLosslessSV1, folder / "image.dcm")) for image in images]


def spoil(image: Dataset) -> None:
    """Spoil one byte before the table of codes: gdcm aborts its process at it."""
    frame = bytearray(next(generate_frames(image.PixelData, number_of_frames=1)))
    frame[15] = 0
    image.PixelData = encapsulate([bytes(frame)])


def test_a_study_that_crashes_the_codec_is_reported_and_the_next_is_analysed(
    site: Site,
    tmp_path: Path,
) -> None:
    images = compressed(bleeding("crashing"), tmp_path)
    spoil(images[20])
    job = site.analyse(images)
    assert (job.outcome, job.reason) == (Outcome.FAILED, Reason.FORMAT)
    report = site.report(job.id)
    assert (report.conclusion, report.reason) == (Conclusion.NO_RESULT, Reason.FORMAT)
    assert site.analyse(compressed(bleeding("sound"), tmp_path)).outcome == Outcome.POSITIVE
