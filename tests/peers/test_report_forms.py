"""Every form of the report of every outcome before dciodvfy and PixelMed's validator.

What they warn of is compared with the list of kinds that are explained, and printed.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from config.errors import Reason
from ml.findings import Side
from ml.volume import Subtype
from node.results.forms import ReportForm, SegmentationForm
from node.results.headers import encode
from node.results.outcomes import StudyResult
from node.results.read_report import interpret_report
from node.results.report import DOCUMENTS, build_report
from node.results.segmentation import build_segmentation
from tests.support.peers_kit import peers
from tests.support.result_inputs import (
    FAMILIAR,
    UNFAMILIAR,
    all_results,
    make_context,
    make_finding,
    make_grid,
    make_mask,
    make_midline_shift,
    make_series,
)

pytestmark = [pytest.mark.peers, pytest.mark.slow, pytest.mark.timeout(900)]

GRID = make_grid()
SERIES = make_series(GRID)
MASK = make_mask(GRID)
RESULTS = all_results(MASK) | {
    # two small findings and a shift: validating takes the longer, the larger a report is
    "positive": StudyResult.positive(
        [make_finding(MASK, s, side=Side.RIGHT) for s in (Subtype.EDH, Subtype.SDH)],
        num_images=12,
        case_score_percent=97.4,
        familiarity=FAMILIAR,
        midline_shift=make_midline_shift(),
    ),
    "unfamiliar": StudyResult.partial(
        Reason.QUALITY, num_images=12, case_score_percent=3.2, familiarity=UNFAMILIAR
    ),
}
IODS = {
    ReportForm.COMPREHENSIVE_3D: "Comprehensive3DSR",
    ReportForm.COMPREHENSIVE: "ComprehensiveSR",
    ReportForm.ENHANCED: "EnhancedSR",
}
EXPLAINED = {
    "private scheme": r"dciodvfy: Warning - Unrecognized defined term <99MIDLINE> .*",
    "Device UID of the model, which IHE AIR wants": (
        r"dciodvfy: .*(not present in standard DICOM IOD - \(0x0018,0x1002\) UI Device UID "
        r"|this is a Standard Extended SOP Class)"
    ),
    "what TID 1500 is extended by": (
        r"pixelmed: .*(Intracranial hemorrhage\"\)/(TEXT|NUM)|Image Quality\"\)/NUM) .*"
        r": Content Item not in template"
    ),
}
WITHOUT_SEGMENT = {
    "groups are not checked as regions": (
        r"pixelmed: .*\"Geometric purpose of region\".*: Content Item not in template"
    )
}


def built(
    name: str,
    form: ReportForm,
    *,
    with_segmentation: bool = True,
    generation: int = 1,
    previous: Dataset | None = None,
    segmentation_form: SegmentationForm = SegmentationForm.BINARY,
) -> Dataset:
    result, context = RESULTS[name], make_context(generation=generation)
    segmentation, numbers = None, None
    if result.findings and with_segmentation:
        mask = make_mask(GRID, [finding.subtype for finding in result.findings])
        segmentation, numbers = build_segmentation(context, SERIES, mask, form=segmentation_form)
    return build_report(
        context,
        result,
        SERIES.headers,
        form=form,
        frames=SERIES.frames,
        segmentation=segmentation,
        segment_numbers=numbers,
        previous=previous,
    )


def kinds_of(warnings: list[str], explained: dict[str, str]) -> Iterator[str]:
    """Name the kind of each warning; one that nothing explains is its own kind."""
    for warning in warnings:
        found = [kind for kind, pattern in explained.items() if re.fullmatch(pattern, warning)]
        yield found[0] if found else warning


def validated(
    documents: dict[str, Dataset], folder: Path, form: ReportForm, explained: dict[str, str]
) -> None:
    """Validate documents; no error, no warning that nothing explains, each kind of them printed."""
    files = []
    for name, document in documents.items():
        files.append(folder / f"{form}-{name}")
        files[-1].write_bytes(encode(document))
    verdicts = peers("validate", *files)
    assert len(verdicts) == len(files)
    for file, verdict in zip(files, verdicts, strict=True):
        kinds = Counter(kinds_of(verdict["warnings"], explained))
        print(f"\n{file.name}: {len(verdict['errors'])} errors; {dict(kinds)}")  # noqa: T201
        assert verdict["errors"] == [], file.name
        assert not verdict["quirks"]
        assert set(kinds) <= set(explained), file.name
        assert (verdict["iod"], verdict["template"]) == (IODS[form], "TID_1500")


@pytest.mark.parametrize("form", DOCUMENTS)
def test_every_outcome_is_valid_in_every_form(form: ReportForm, tmp_path: Path) -> None:
    # a report takes the validators 5 to 15 s; test_result_objects.py has the others in this form
    known = RESULTS.keys() - {"positive"} if form is ReportForm.COMPREHENSIVE_3D else set()
    names = RESULTS.keys() - known
    assert names
    validated({name: built(name, form) for name in sorted(names)}, tmp_path, form, EXPLAINED)


@pytest.mark.parametrize("form", [ReportForm.COMPREHENSIVE_3D, ReportForm.ENHANCED])
def test_findings_without_a_segmentation_are_valid_in_every_form(
    form: ReportForm, tmp_path: Path
) -> None:
    names = ("positive", "partly-positive")
    bare = {name: built(name, form, with_segmentation=False) for name in names}
    validated(bare, tmp_path, form, EXPLAINED | WITHOUT_SEGMENT)


@pytest.mark.parametrize("form", [ReportForm.COMPREHENSIVE_3D])
def test_a_report_that_replaces_another_is_valid_and_names_it(
    form: ReportForm, tmp_path: Path
) -> None:
    first = {
        "of the same form": built("failed", form),
        "of another form": built("negative", ReportForm.COMPREHENSIVE_3D),
    }
    second = {
        f"positive-after-{why.replace(' ', '-')}": built(
            "positive", form, generation=2, previous=before
        )
        for why, before in first.items()
    }
    second["negative-after"] = built(
        "negative", form, generation=2, previous=first["of the same form"]
    )
    for document, before in zip(
        second.values(), [*first.values(), first["of the same form"]], strict=True
    ):
        assert interpret_report(document).predecessor_uid == before.SOPInstanceUID
    validated(second, tmp_path, form, EXPLAINED)


def test_all_that_is_explained_is_seen(tmp_path: Path) -> None:
    """A pattern that nothing matches any more would hide what it does not explain."""
    document = built("positive", ReportForm.ENHANCED, with_segmentation=False)
    path = tmp_path / "report"
    path.write_bytes(encode(document))
    (verdict,) = peers("validate", path)
    explained = EXPLAINED | WITHOUT_SEGMENT
    assert set(kinds_of(verdict["warnings"], explained)) == set(explained)


def test_an_error_that_is_made_is_found(tmp_path: Path) -> None:
    document = built("negative", ReportForm.COMPREHENSIVE)
    del document.CompletionFlag
    path = tmp_path / "report"
    path.write_bytes(encode(document))
    (verdict,) = peers("validate", path)
    assert verdict["errors"]


def test_a_label_map_is_known_to_be_called_no_segmentation(tmp_path: Path) -> None:
    """The rule of dciodvfy is older than the class: one error for each group that names one."""
    document = built(
        "positive", ReportForm.COMPREHENSIVE_3D, segmentation_form=SegmentationForm.LABELMAP
    )
    path = tmp_path / "report"
    path.write_bytes(encode(document))
    (verdict,) = peers("validate", path)
    assert len(verdict["errors"]) == len(RESULTS["positive"].findings)
    assert all("ReferencedSegmentNumber" in error for error in verdict["errors"])


def test_forms_have_uids_of_their_own() -> None:
    documents = [built("positive", form) for form in DOCUMENTS]
    documents += [built("positive", form, with_segmentation=False) for form in DOCUMENTS]
    assert len({document.SOPInstanceUID for document in documents}) == len(documents)
