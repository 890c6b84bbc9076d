"""Result objects before the validators that others use: dciodvfy, and PixelMed's for TID 1500."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.errors import Reason
from ml.findings import Side
from ml.readers.dicom import Series, read_series
from ml.volume import Subtype
from node.results.headers import encode
from node.results.identity import ResultContext
from node.results.outcomes import StudyResult
from node.results.read_report import Conclusion, read_report
from node.results.report import build_report
from node.results.segmentation import build_segmentation
from tests.support.result_inputs import (
    FAMILIAR,
    UNFAMILIAR,
    all_results,
    make_context,
    make_finding,
    make_findings,
    make_grid,
    make_mask,
    make_series,
)

SHARED = Path(__file__).resolve().parents[3] / "shared"
PEERS = SHARED / "peers" / "peers"
REAL_HEAD = SHARED / "data" / "head_ct_ge"

pytestmark = [
    pytest.mark.peers,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not PEERS.exists() or not REAL_HEAD.exists(), reason="../shared is not there"
    ),
]

EXPECTED_WARNINGS = (
    r"dciodvfy: Warning - Unrecognized defined term <99MIDLINE> .*",  # declared in the object
    r"dciodvfy: .* not present in standard DICOM IOD - \(0x0018,0x1002\) UI Device UID ",
    r"dciodvfy: .* this is a Standard Extended SOP Class",  # for the Device UID, which AIR wants
    # TID 1500 is extensible, and a negative needs a coded place for its score too
    r"pixelmed: .*Intracranial hemorrhage\"\)/(TEXT|NUM) .*: Content Item not in template",
    r"pixelmed: .*Image Quality\"\)/NUM .*: Content Item not in template",  # likewise
)
WITHOUT_SEGMENT = r"pixelmed: .*\"Geometric purpose of region\".*: Content Item not in template"
INHERITED = (  # the real head's own: no study date, a name of one part
    r"dciodvfy: .* needed to build DICOMDIR - Study (Date|Time|ID)",
    r"dciodvfy: .*(Patient's Name|Person Name|PersonName).*",
)
NAMES = (
    *(f"{name}-SR" for name in all_results(make_mask(make_grid()))),
    "unfamiliar-SR",
    "positive-SEG",
    "partly-positive-SEG",
    "multi-frame-SEG",
    "multi-frame-SR",
    "no-segment-SR",
    "real-SEG",
    "real-SR",
)


def write_objects(
    folder: Path,
    name: str,
    context: ResultContext,
    result: StudyResult,
    series: Series,
    *,
    scale: int = 1,
) -> None:
    """Write the objects of a result, the second generation of its report."""
    segmentation, numbers = None, None
    if result.findings:
        subtypes = [finding.subtype for finding in result.findings]
        mask = make_mask(series.volume.grid, subtypes, scale=scale)
        segmentation, numbers = build_segmentation(context, series, mask)
        (folder / f"{name}-SEG").write_bytes(encode(segmentation))
    report = build_report(
        context,
        result,
        series.headers,
        frames=series.frames,
        segmentation=segmentation,
        segment_numbers=numbers,
    )
    (folder / f"{name}-SR").write_bytes(encode(report))


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with one object of every kind and outcome, and those of a real head."""
    folder = tmp_path_factory.mktemp("objects")
    grid, context = make_grid(), make_context()
    series, mask = make_series(grid), make_mask(grid)
    results = all_results(mask)
    # the real head has all subtypes, and validating takes the longer, the larger a report is
    results["positive"] = StudyResult.positive(
        [make_finding(mask, Subtype.EDH)],
        num_images=12,
        case_score_percent=97.4,
        familiarity=FAMILIAR,
    )
    results["unfamiliar"] = StudyResult.partial(
        Reason.QUALITY, num_images=12, case_score_percent=3.2, familiarity=UNFAMILIAR
    )
    for name, result in results.items():
        write_objects(folder, name, context, result, series)
    frames = make_series(grid, multi_frame=True, num_spare_frames=2)
    write_objects(folder, "multi-frame", context, results["partly-positive"], frames)
    bare = build_report(context, results["partly-positive"], series.headers)
    (folder / "no-segment-SR").write_bytes(encode(bare))
    write_real_head(folder)
    return folder


def write_real_head(folder: Path) -> None:
    """Write the second generation of a result with all subtypes, of synthetic blocks."""
    series = read_series(sorted(REAL_HEAD.iterdir()))
    study = series.headers[0].StudyInstanceUID
    first, second = (
        make_context(
            generation=generation,
            study_instance_uid=study,
            series_instance_uid=series.headers[0].SeriesInstanceUID,
        )
        for generation in (1, 2)
    )
    scale = 12
    mask = make_mask(series.volume.grid, scale=scale)
    findings = make_findings(mask, tuple(Subtype), side=Side.RIGHT, scale=scale)
    num_images = len(series.headers)
    previous = build_report(first, StudyResult.negative(num_images=num_images), series.headers)
    segmentation, numbers = build_segmentation(second, series, mask)
    report = build_report(
        second,
        StudyResult.positive(findings, num_images=num_images, case_score_percent=88.0),
        series.headers,
        segmentation=segmentation,
        segment_numbers=numbers,
        previous=previous,
    )
    (folder / "real-SEG").write_bytes(encode(segmentation))
    (folder / "real-SR").write_bytes(encode(report))


@pytest.mark.parametrize("name", NAMES)
def test_validators_find_no_error_and_warn_only_of_what_is_explained(
    name: str, objects: Path
) -> None:
    done = subprocess.run(
        [PEERS, "validate", objects / name], capture_output=True, text=True, check=False
    )
    assert done.stdout, done.stderr
    verdict = json.loads(done.stdout)
    assert verdict["errors"] == []
    assert [w for w in verdict["warnings"] if not any(explained(w, name))] == []
    assert not verdict["quirks"]
    if name.endswith("SR"):
        assert (verdict["iod"], verdict["template"]) == ("Comprehensive3DSR", "TID_1500")
    else:
        assert verdict["iod"] == "Segmentation"


def explained(warning: str, name: str) -> Iterator[bool]:
    patterns = list(EXPECTED_WARNINGS)
    if name == "no-segment-SR":
        patterns.append(WITHOUT_SEGMENT)
    if name.startswith("real"):
        patterns.extend(INHERITED)
    yield from (re.fullmatch(pattern, warning) is not None for pattern in patterns)


def test_the_real_head_reads_back(objects: Path) -> None:
    read = read_report(objects / "real-SR")
    assert read.conclusion is Conclusion.POSITIVE
    assert read.num_regions == 11
    series = read_series(sorted(REAL_HEAD.iterdir()))
    mask = make_mask(series.volume.grid, scale=12)
    assert read.volumes_ml == {s: round(mask.volume_ml(s), 2) for s in Subtype}
