"""Reading back what the PACS received: the codes are believed, and nothing else."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ml.volume import Subtype
from node.demo.received import Answer, read_answer, read_mask
from node.demo.studies import SyntheticHead, SyntheticStudy
from node.results.headers import encode
from node.results.outcomes import WORDINGS, Presence, StudyResult
from node.results.read_report import Conclusion, ReadBack
from node.results.report import build_report
from node.results.segmentation import build_segmentation
from tests.support.result_inputs import (
    all_results,
    make_context,
    make_findings,
    make_grid,
    make_mask,
    make_series,
)

ALL_RESULTS = all_results(make_mask(make_grid()))
STUDY = SyntheticStudy(
    head=SyntheticHead("Subdural", 1, (Subtype.SDH,)),
    folder=Path("study01"),
    images=(),
    slices=(),
    study_instance_uid="2.25.1",
    volumes_ml={Subtype.SDH: 30.0, Subtype.IPH: 2.0},
)
HEALTHY = replace(STUDY, volumes_ml={})


def answer(study: SyntheticStudy, report: ReadBack) -> Answer:
    return Answer(study, Path("report.dcm"), None, report, 3.0)


@pytest.mark.parametrize("name", ALL_RESULTS)
def test_a_report_gets_the_words_of_its_codes(tmp_path: Path, name: str) -> None:
    result = ALL_RESULTS[name]
    path = tmp_path / "report.dcm"
    headers = make_series(make_grid()).headers
    path.write_bytes(encode(build_report(make_context(), result, headers)))
    read = read_answer(STUDY, path, None, seconds=1.0)
    assert read.wording == result.wording


def test_a_report_that_contradicts_itself_has_no_result() -> None:
    report = ReadBack(Conclusion.NO_RESULT, status="Succeeded", presence=Presence.ABSENT)
    assert answer(HEALTHY, report).wording.word == "NO RESULT"
    assert answer(HEALTHY, report).wording not in WORDINGS.values()


@pytest.mark.parametrize("tilt_deg", [0.0, 18.5])
def test_the_mask_comes_back_where_it_was(tmp_path: Path, tilt_deg: float) -> None:
    grid = make_grid(tilt_deg=tilt_deg)
    series, mask = make_series(grid), make_mask(grid, (Subtype.IVH, Subtype.SDH, Subtype.SAH))
    path = tmp_path / "seg.dcm"
    path.write_bytes(encode(build_segmentation(make_context(), series, mask)[0]))
    np.testing.assert_array_equal(read_mask(path, series).labels, mask.labels)


def found(*subtypes: Subtype) -> ReadBack:
    """Report that finds these."""
    if not subtypes:
        return ReadBack(Conclusion.NEGATIVE, status="Succeeded", presence=Presence.ABSENT)
    volumes_ml = dict.fromkeys(subtypes, 10.0)
    return ReadBack(
        Conclusion.POSITIVE, status="Succeeded", presence=Presence.PRESENT, volumes_ml=volumes_ml
    )


@pytest.mark.parametrize(
    ("study", "report", "fault"),
    [
        (STUDY, found(Subtype.SDH), ""),
        (STUDY, found(Subtype.SDH, Subtype.EDH), ""),
        (STUDY, found(Subtype.IPH), "SDH was not found, which the head was made with"),
        (STUDY, found(), "the report says NEGATIVE, the head was made POSITIVE"),
        (HEALTHY, found(), ""),
        (HEALTHY, found(Subtype.SAH), "the report says POSITIVE, the head was made NEGATIVE"),
        (
            HEALTHY,
            ReadBack(Conclusion.NO_RESULT),
            "the report says NO_RESULT, the head was made NEGATIVE",
        ),
    ],
)
def test_an_answer_is_held_against_the_truth(
    study: SyntheticStudy, report: ReadBack, fault: str
) -> None:
    assert answer(study, report).fault == fault


def test_what_was_found_is_written_the_largest_first(tmp_path: Path) -> None:
    mask = make_mask(make_grid())
    findings = make_findings(mask, (Subtype.SDH, Subtype.IVH))
    result = StudyResult.positive(findings, num_images=12)
    path = tmp_path / "report.dcm"
    path.write_bytes(encode(build_report(make_context(), result, make_series(mask.grid).headers)))
    words = read_answer(STUDY, path, None, seconds=1.0).found_in_words
    assert words.startswith("SDH ")
    assert ", IVH " in words
