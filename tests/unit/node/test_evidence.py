"""What proves a study complete, and what never does."""

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from node.evidence import (
    KNOWN_AFTER_STUDIES,
    Evidence,
    Placement,
    judge,
    patience_seconds,
    placement_of,
)
from storage.records import Habits, PlacedImage
from tests.support.ct_series import CORONAL, head_series, legacy_converted, stack

NUM_SLICES = 30


def head(
    num_slices: int = NUM_SLICES, *, spacing_mm: float = 5.0, first_number: int = 1
) -> list[Placement]:
    return [
        Placement(
            instance_number=first_number + index,
            acquisition_number=1,
            rows=512,
            columns=512,
            positions_mm=((-125.0, -125.0, spacing_mm * index),),
            orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
            pixel_spacing_mm=(0.49, 0.49),
            thickness_mm=spacing_mm,
        )
        for index in range(num_slices)
    ]


def held(placements: Sequence[Placement | None], series: str = "1") -> list[PlacedImage]:
    return [
        PlacedImage(f"{series}.{index}", series, None if p is None else p.to_json())
        for index, p in enumerate(placements)
    ]


def scouts(num: int = 2) -> list[Placement]:
    return [Placement(number, "LOCALIZER") for number in range(1, num + 1)]


def proves(placements: Sequence[Placement | None]) -> bool:
    return judge(held(placements)).is_proof


def test_a_whole_head_is_a_proof_in_any_order() -> None:
    images = [*held(head()), *held(scouts(), "2")]
    random.Random(1).shuffle(images)
    assert judge(images) == Evidence(True, "released, 150 mm of head without a gap")


@settings(deadline=None, max_examples=50)
@given(
    num_slices=st.integers(24, 60),
    spacing_mm=st.sampled_from((0.5, 1.0, 2.5, 5.0)),
    kept=st.randoms(use_true_random=False),
)
def test_a_head_without_its_first_or_an_inner_slice_is_never_a_proof(
    num_slices: int, spacing_mm: float, kept: random.Random
) -> None:
    whole = head(num_slices, spacing_mm=spacing_mm)
    lost = set(kept.sample(range(num_slices - 1), k=kept.randint(1, num_slices // 2)))
    assert not proves([each for index, each in enumerate(whole) if index not in lost])


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from(range(NUM_SLICES)), min_size=1, max_size=NUM_SLICES, unique=True))
def test_a_part_is_a_proof_only_if_it_is_whole_up_to_its_last_slice(part: list[int]) -> None:
    whole = head()
    is_beginning = sorted(part) == list(range(len(part)))
    covers = len(part) * 5 >= 120
    assert proves([whole[index] for index in part]) == (is_beginning and covers)


@settings(deadline=None, max_examples=50)
@given(st.permutations(range(NUM_SLICES)))
def test_the_order_and_the_direction_of_numbers_do_not_matter(order: list[int]) -> None:
    upside_down = [
        replace(each, instance_number=NUM_SLICES - index) for index, each in enumerate(head())
    ]
    assert proves([upside_down[index] for index in order])


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"images_in_series": NUM_SLICES + 1}, "a series is to have another number of images"),
        ({"images_in_acquisition": NUM_SLICES + 1}, "an acquisition is to have more images"),
        ({"instance_number": None}, "no series covers a head from its first image on"),
        ({"rejection": "CONTRAST"}, "no series covers a head from its first image on"),
        ({"thickness_mm": 2.0}, "slices are missing between others"),
        ({"rows": 256}, "no series covers a head from its first image on"),
    ],
)
def test_what_a_header_says_speaks_against_it(changed: dict[str, object], why: str) -> None:
    placements = [replace(each, **changed) for each in head()]  # type: ignore[arg-type]
    if "rows" in changed:
        placements[1:] = head()[1:]
    assert judge(held(placements)) == Evidence(False, why)


def test_the_same_numbers_are_taken_as_told_when_they_agree() -> None:
    told = {"images_in_series": NUM_SLICES, "images_in_acquisition": NUM_SLICES}
    assert proves([replace(each, **told) for each in head()])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (head()[:12], "a series is TOO_SHORT"),
        (head()[:5], "a series is TOO_FEW_SLICES"),
        (head()[:9] + head()[10:], "instance numbers have a gap"),
        (head()[1:], "a series does not begin with its first image"),
        (head(spacing_mm=4.0)[:5] + head(spacing_mm=4.0)[6:], "instance numbers have a gap"),
        ([Placement(1, "LOCALIZER"), Placement(3, "LOCALIZER")], "instance numbers have a gap"),
        ([None], "an image does not say where it lies"),
    ],
)
def test_another_series_that_lacks_images_speaks_against_it(
    second: Sequence[Placement | None], why: str
) -> None:
    assert judge([*held(head()), *held(second, "2")]) == Evidence(False, why)


def test_an_aborted_association_leaves_the_count_alone_as_proof() -> None:
    images = held(head())
    assert not judge(images, is_interrupted=True).is_proof
    assert judge(images, expected=30, expected_by="PACS", is_interrupted=True).is_proof


def test_an_equal_count_is_a_proof_without_geometry_and_another_one_is_none() -> None:
    images = held([*scouts(), None])
    assert judge(images, expected=3, expected_by="PACS").words == "3 images, as many as by PACS"
    assert judge(images, expected=3, expected_by="PACS").is_proof
    assert not judge(held(head()), expected=31, expected_by="PACS").is_proof
    assert not judge(held(head()), expected=29, expected_by="PACS").is_proof


def test_a_gap_outweighs_a_count() -> None:
    parts = held(head()[:9] + head()[10:])
    assert not judge(parts, expected=len(parts), expected_by="PACS").is_proof


def test_words_fit_into_the_index() -> None:
    images = held(head())
    for expected in (30, 31):
        assert len(judge(images, expected=expected, expected_by="X" * 64).words) == 64


def test_nothing_is_no_proof() -> None:
    assert not judge([]).is_proof


def read(images: Sequence[Dataset]) -> list[Placement]:
    return [Placement.from_json(placement_of(image).to_json()) for image in images]


def test_headers_say_where_their_images_lie() -> None:
    images = head_series(stack(size=16, pixel_mm=14.0), ImagesInAcquisition=36)
    placements = read(images)
    assert proves(placements)
    assert [each.instance_number for each in placements] == list(range(1, 37))
    assert {each.images_in_acquisition for each in placements} == {36}


def test_one_enhanced_image_may_be_a_whole_head() -> None:
    images = head_series(stack(size=16, pixel_mm=14.0))
    (placement,) = read([legacy_converted(images)])
    assert len(placement.positions_mm) == 36
    assert proves([placement])


@pytest.mark.parametrize(
    ("attributes", "rejection"),
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "LOCALIZER"),
        ({"ImageType": ["DERIVED", "SECONDARY", "MPR"]}, "PROCESSED"),
        (
            {"BodyPartExamined": "CHEST", "StudyDescription": "", "SeriesDescription": ""},
            "NOT_A_HEAD",
        ),
        ({"ContrastBolusAgent": "SECRET"}, "CONTRAST"),
        ({"ImagePositionPatient": None}, "NO_GEOMETRY"),
    ],
)
def test_an_image_that_is_not_analysed_says_why_and_nothing_else(
    attributes: dict[str, object], rejection: str
) -> None:
    (image, *_) = head_series(stack(size=16, pixel_mm=14.0), **attributes)
    assert placement_of(image) == Placement(1, rejection)
    assert "SECRET" not in placement_of(image).to_json()


def test_reformatted_slices_are_no_head() -> None:
    assert not proves(read(head_series(stack(directions=CORONAL, size=16, pixel_mm=14.0))))


@pytest.mark.parametrize(
    ("num_studies", "longest", "own", "seconds"),
    [
        (0, 0.0, None, 5.0),
        (KNOWN_AFTER_STUDIES - 1, 0.0, None, 5.0),
        (KNOWN_AFTER_STUDIES, 0.0, None, 0.0),
        (KNOWN_AFTER_STUDIES, 0.1, None, 1.0),
        (KNOWN_AFTER_STUDIES, 3.0, None, 6.0),
        (KNOWN_AFTER_STUDIES, 0.0, 4.0, 8.0),
        (0, 4.0, None, 8.0),
    ],
)
def test_a_sender_is_given_twice_its_longest_pause(
    num_studies: int, longest: float, own: float | None, seconds: float
) -> None:
    habits = Habits(num_studies, longest)
    assert patience_seconds(habits, own, unknown_seconds=5.0) == seconds
