"""Files become candidates: the images of a series, with their headers and frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path

from pydicom.dataset import Dataset

from config.errors import UnreadableInputError
from ml.readers.attributes import text_of, values_of, whole_of
from ml.readers.dicom import read_header
from ml.readers.frames import FrameHeader, frame_headers, heights_mm


@dataclass(frozen=True, eq=False)
class Candidate:
    """Images of one series, and of one kind: localizers are kept apart.

    Attributes
    ----------
    series_instance_uid, series_number
        Of the series.
    files, headers
        Of the images, by SOP Instance UID.
    frames
        Of all images; references count `headers`.
    """

    series_instance_uid: str
    series_number: int | None
    files: tuple[Path, ...]
    headers: tuple[Dataset, ...]
    frames: tuple[FrameHeader, ...]

    def order(self) -> tuple[int, ...]:
        """Sort the images from the feet to the head by their lowest frames; gives indices."""
        lowest: dict[int, float] = {}
        for frame, height in zip(self.frames, heights_mm(self.frames), strict=True):
            index = frame.reference.dataset_index
            lowest[index] = min(float(height), lowest.get(index, inf))
        return tuple(sorted(lowest, key=lambda index: lowest[index]))


def candidates_of(files: Sequence[Path]) -> tuple[list[Candidate], int]:
    """Group files by series and kind.

    Returns
    -------
    list of Candidate
        By Series Instance UID.
    int
        How many files could not be read.
    """
    groups: dict[tuple[str, bool], list[tuple[str, Path, Dataset]]] = {}
    num_unreadable = 0
    for file in dict.fromkeys(files):
        try:
            header = read_header(file)
        except UnreadableInputError:
            num_unreadable += 1
            continue
        is_localizer = "LOCALIZER" in values_of(header, "ImageType")
        key = text_of(header, "SeriesInstanceUID"), is_localizer
        groups.setdefault(key, []).append((text_of(header, "SOPInstanceUID"), file, header))
    return [_candidate(key[0], groups[key]) for key in sorted(groups)], num_unreadable


def _candidate(series_instance_uid: str, images: list[tuple[str, Path, Dataset]]) -> Candidate:
    images.sort(key=lambda image: (image[0], str(image[1])))
    headers = tuple(header for _, _, header in images)
    return Candidate(
        series_instance_uid=series_instance_uid,
        series_number=whole_of(headers[0], "SeriesNumber"),
        files=tuple(file for _, file, _ in images),
        headers=headers,
        frames=tuple(
            frame for index, header in enumerate(headers) for frame in frame_headers(header, index)
        ),
    )
