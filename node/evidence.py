"""Whether the images of a study prove by themselves that none is to come.

An image says where it lies. A study is proven complete when one of its series covers a head from
end to end without a gap and is numbered from the first image on, and nothing in the study speaks
against it; or when as many images are held as somebody who knows has counted. What cannot be proven
is no fault: such a study is complete when it has been quiet (`node.completion`).

No header tells that a last slice is missing, and no study that another series follows: therefore
evidence counts only after the pauses that its sender is known to make (`patience_seconds`).
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from pydicom.dataset import Dataset

from config.errors import Reason
from ml.readers.attributes import whole_of
from ml.readers.frames import (
    FrameHeader,
    FrameReference,
    difference,
    frame_headers,
    geometry_fault,
)
from node.selection import Criteria, Fault, Rejection, Spacing, image_fault, stack_fault
from storage.records import Habits, PlacedImage

HEAD_MM = 120.0
"""A head from the base of the skull to the vertex takes more; fewer slices may be part of one."""
HEAD = Criteria(extent_mm=(HEAD_MM, Criteria.extent_mm[1]))
KNOWN_AFTER_STUDIES = 20
"""From so many studies on, a sender's habits are known."""
REMEMBERED_STUDIES = 100
SAFETY = 2.0
"""Times the longest pause that a sender has made."""
SHORTEST_WAIT_SECONDS = 1.0
"""For senders that make pauses at all."""
MOST_CHARACTERS = 64


@dataclass(frozen=True)
class Placement:
    """What an image says of its place in a series; of the patient it says nothing.

    Attributes
    ----------
    instance_number
        Instance Number (0020,0013).
    rejection
        Why its series is not analysed, as far as this image alone tells; empty if nothing does.
        Then all that follows is known.
    acquisition_number, images_in_acquisition
        (0020,0012), and how many images it has by (0020,1002), if that is told.
    images_in_series
        Number of Series Related Instances (0020,1209), if it is told.
    rows, columns
        Size in pixels.
    positions_mm
        Image Position (Patient) of each frame, LPS.
    orientation, pixel_spacing_mm, thickness_mm
        Of all frames.
    """

    instance_number: int | None
    rejection: str = ""
    acquisition_number: int | None = None
    images_in_acquisition: int | None = None
    images_in_series: int | None = None
    rows: int | None = None
    columns: int | None = None
    positions_mm: tuple[tuple[float, ...], ...] = ()
    orientation: tuple[float, ...] = ()
    pixel_spacing_mm: tuple[float, ...] = ()
    thickness_mm: float | None = None

    def to_json(self) -> str:
        """Write it down, leaving out what is not known."""
        known = {name: value for name, value in vars(self).items() if value not in (None, "", ())}
        return json.dumps(known, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Placement":
        """Read what `to_json` wrote."""
        known = json.loads(text)
        for name in ("orientation", "pixel_spacing_mm"):
            known[name] = tuple(known.get(name, ()))
        known["positions_mm"] = tuple(map(tuple, known.get("positions_mm", ())))
        return cls(**{"instance_number": None} | known)

    def frames(self) -> Iterable[FrameHeader]:
        """Describe its frames as far as geometry goes."""
        for number, position in enumerate(self.positions_mm, start=1):
            yield FrameHeader(
                reference=FrameReference(0, number),
                rows=self.rows,
                columns=self.columns,
                image_type=(),
                stack_id="",
                position_mm=np.array(position),
                orientation=np.array(self.orientation),
                pixel_spacing_mm=np.array(self.pixel_spacing_mm),
                slice_thickness_mm=self.thickness_mm,
                rescale_slope=None,
                rescale_intercept=None,
                rescale_type="",
                convolution_kernel="",
                acquisition_number=self.acquisition_number,
            )


@dataclass(frozen=True)
class Evidence:
    """What the images of a study say of its completeness.

    Attributes
    ----------
    is_proof
        Whether it is complete; otherwise nobody knows.
    words
        Why, or why not; at most 64 characters, nothing of the patient.
    """

    is_proof: bool
    words: str


def placement_of(header: Dataset) -> Placement:
    """Read off a header what its image says of its place.

    Parameters
    ----------
    header
        With file meta information; pixel data are not needed.
    """
    number = whole_of(header, "InstanceNumber")
    frames = frame_headers(header, 0)
    fault = image_fault(header, frames)
    rejection = "" if fault is None else fault.rejection.value
    first = frames[0]
    if not rejection and any(geometry_fault(frame) for frame in frames):
        rejection = Rejection.NO_GEOMETRY.value
    if not rejection and any(difference(first, frame) for frame in frames[1:]):
        rejection = Rejection.MIXED.value
    if rejection:
        return Placement(number, rejection)
    return Placement(
        instance_number=number,
        acquisition_number=first.acquisition_number,
        images_in_acquisition=whole_of(header, "ImagesInAcquisition"),
        images_in_series=whole_of(header, "NumberOfSeriesRelatedInstances"),
        rows=first.rows,
        columns=first.columns,
        positions_mm=tuple(_rounded(frame.position_mm, 3) for frame in frames),
        orientation=_rounded(first.orientation, 6),
        pixel_spacing_mm=_rounded(first.pixel_spacing_mm, 6),
        thickness_mm=first.slice_thickness_mm,
    )


def _rounded(values: Iterable[float] | None, digits: int) -> tuple[float, ...]:
    return () if values is None else tuple(round(float(value), digits) for value in values)


def judge(
    images: Sequence[PlacedImage],
    *,
    expected: int | None = None,
    expected_by: str = "",
    is_interrupted: bool = False,
) -> Evidence:
    """Weigh all images that are held of a study.

    Parameters
    ----------
    images
        In any order.
    expected, expected_by
        How many there are to be, and who said so; None if nobody did.
    is_interrupted
        Whether an association that sent some was aborted or lost: then only a count is a proof.
    """
    if expected is not None and expected != len(images):
        return _doubt(f"{len(images)} images, {expected} by {expected_by}")
    series: dict[str, list[Placement]] = defaultdict(list)
    for image in images:
        if image.geometry_json is not None:
            series[image.series_instance_uid].append(Placement.from_json(image.geometry_json))
    gap = next(filter(None, map(_gap, series.values())), "")
    if gap:
        return _doubt(gap)
    if expected is not None:
        return Evidence(True, f"{expected} images, as many as by {expected_by}"[:MOST_CHARACTERS])
    if is_interrupted:
        return _doubt("an association was aborted")
    return _covering(series, is_whole=sum(map(len, series.values())) == len(images))


def _covering(series: Mapping[str, Sequence[Placement]], *, is_whole: bool) -> Evidence:
    """Weigh what images show by themselves; whole if all of them say where they lie."""
    if not is_whole:
        return _doubt("an image does not say where it lies")
    shortage = next(filter(None, map(_shortage, series.values())), "")
    if shortage:
        return _doubt(shortage)
    covered_mm = max(map(_covered_mm, series.values()), default=0.0)
    if not covered_mm:
        return _doubt("no series covers a head from its first image on")
    return Evidence(True, f"released, {covered_mm:.0f} mm of head without a gap")


def _doubt(words: str) -> Evidence:
    return Evidence(False, words[:MOST_CHARACTERS])


def _gap(series: Sequence[Placement]) -> str:
    """Find between which images of a series others are missing; empty if between none."""
    if any(after - before > 1 for before, after in pairwise(_numbers(series))):
        return "instance numbers have a gap"
    fault = _stack_fault(series)
    if fault is not None and fault.rejection is Rejection.MISSING_SLICES:
        return "slices are missing between others"
    return ""


def _shortage(series: Sequence[Placement]) -> str:
    """Find what says that a series is to have more images; empty if nothing does."""
    if min(_numbers(series), default=0) > 1:
        return "a series does not begin with its first image"
    fault = _stack_fault(series)
    if fault is not None and fault.rejection.reason is Reason.INCOMPLETE:
        return f"a series is {fault.rejection.value}"
    told = {p.images_in_series for p in series if p.images_in_series is not None}
    if told and told != {len(series)}:
        return "a series is to have another number of images"
    by_acquisition: dict[int | None, int] = defaultdict(int)
    for placement in series:
        by_acquisition[placement.acquisition_number] += 1
    if any(by_acquisition[p.acquisition_number] < (p.images_in_acquisition or 0) for p in series):
        return "an acquisition is to have more images"
    return ""


def _covered_mm(series: Sequence[Placement]) -> float:
    """Extent of a series that shows a head whole, along the normal; 0 if it does not."""
    is_numbered = len(set(_numbers(series))) == len(series)
    if any(p.rejection for p in series) or not is_numbered or _stack_fault(series) is not None:
        return 0.0
    return Spacing.of(_frames_of(series)).extent_mm


def _numbers(series: Sequence[Placement]) -> list[int]:
    return sorted(p.instance_number for p in series if p.instance_number is not None)


def _stack_fault(series: Sequence[Placement]) -> Fault | None:
    """Find why positions make a series no head; None if they do, or if it is none anyway."""
    if any(placement.rejection for placement in series):
        return None
    return stack_fault(_frames_of(series), HEAD)


def _frames_of(series: Sequence[Placement]) -> list[FrameHeader]:
    return [frame for placement in series for frame in placement.frames()]


def patience_seconds(
    habits: Habits, study_pause_seconds: float | None, *, unknown_seconds: float
) -> float:
    """How long after a release the sender may still go on with the study, seconds.

    Parameters
    ----------
    habits
        Of the sender.
    study_pause_seconds
        Longest pause in this study so far.
    unknown_seconds
        To wait for a sender whose habits are not known.
    """
    longest = max(habits.longest_pause_seconds, study_pause_seconds or 0.0)
    waits = [SAFETY * longest]
    if longest > 0:
        waits.append(SHORTEST_WAIT_SECONDS)
    if habits.num_studies < KNOWN_AFTER_STUDIES:
        waits.append(unknown_seconds)
    return max(waits)
