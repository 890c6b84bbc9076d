"""Results for eyes before other people's validators: pages, overlays, key objects, text reports."""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from ml.findings import Side, measure
from ml.readers.dicom import Series, read_series
from ml.volume import Mask, Subtype
from node.results.headers import encode
from node.results.identity import ResultContext
from node.results.key_objects import build_key_objects
from node.results.outcomes import StudyResult
from node.results.secondary_capture import build_overlay, build_summary_page
from node.results.text_report import build_text_report
from tests.support.ct_series import head_series, legacy_converted, write
from tests.support.result_inputs import all_results, make_context

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
    r"dciodvfy: .* not present in standard DICOM IOD - \(0x0018,0x1002\) UI Device UID ",
    r"dciodvfy: .* this is a Standard Extended SOP Class",  # for the Device UID, which AIR wants
    # a page on images that were not analysed does not know which part of the body they show
    r"dciodvfy: .* only permitted to be empty when actually unknown.*<Laterality>",
)
INHERITED = (  # the real head's own: no study date, a name of one part
    r"dciodvfy: .* needed to build DICOMDIR - Study (Date|Time|ID)",
    r"dciodvfy: .*(Patient's Name|Person Name|PersonName).*",
)
OUTCOMES = (
    "positive",
    "negative",
    "partly-positive",
    "borderline",
    "failed",
    "not-attempted",
)
HEADS = ("synthetic", "real")
NAMES = (
    *(
        f"{head}-{outcome}-{kind}"
        for head in HEADS
        for outcome in OUTCOMES
        for kind in ("SC", "SR")
    ),
    *(f"{head}-{kind}" for head in (*HEADS, "converted") for kind in ("overlay-SC", "KO")),
    "previous-SR",
)


def head_of(name: str, folder: Path) -> Series:
    """A synthetic head, slice by slice or as one converted image, or the real one."""
    if name == "real":
        return read_series(sorted(REAL_HEAD.iterdir()))
    images = head_series()
    return read_series(write(images if name == "synthetic" else [legacy_converted(images)], folder))


def results_on(series: Series) -> tuple[dict[str, StudyResult], Mask]:
    """Results of every kind; those with findings have blocks of blood in the middle of the head."""
    _, rows, columns = series.volume.hu.shape
    labels = np.zeros(series.volume.hu.shape, np.uint8)
    for subtype in Subtype:
        place = columns // 4 + columns * subtype // 12
        labels[9 + subtype : 12 + subtype, rows // 3 : rows // 2, place : place + columns // 16] = (
            subtype
        )
    mask = Mask(labels, series.volume.grid)
    scores = dict.fromkeys(Subtype, 90.0)
    findings = measure(series.volume, mask, certainty_percent=scores, alignment=None)
    found = [replace(finding, side=Side.LEFT) for finding in findings]
    results = all_results(mask)
    for name in ("positive", "partly-positive"):
        results[name] = replace(
            results[name],
            findings=tuple(found),
            subtypes={finding.subtype: results["positive"].presence for finding in found},
        )
    return results, mask


def objects_of(head: str, series: Series, context: ResultContext) -> Iterator[tuple[str, Dataset]]:
    results, mask = results_on(series)
    positive = results["positive"]
    yield f"{head}-overlay-SC", build_overlay(context, positive, series, mask)[0]
    key_objects = build_key_objects(context, positive, series.headers, frames=series.frames)
    yield f"{head}-KO", key_objects
    if head == "converted":
        return
    for outcome, result in results.items():
        page = build_summary_page(
            context,
            result,
            series.headers,
            frames=series.frames,
            volume=series.volume if result.findings else None,
            mask=mask if result.findings else None,
        )
        yield f"{head}-{outcome}-SC", page
        yield f"{head}-{outcome}-SR", build_text_report(context, result, series.headers)


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the objects of every outcome and head."""
    folder = tmp_path_factory.mktemp("objects")
    for head in (*HEADS, "converted"):
        series = head_of(head, tmp_path_factory.mktemp(head))
        header = series.headers[0]
        first, second = (
            make_context(
                generation=generation,
                study_instance_uid=header.StudyInstanceUID,
                series_instance_uid=header.SeriesInstanceUID,
            )
            for generation in (1, 2)
        )
        for name, dataset in objects_of(head, series, first):
            (folder / name).write_bytes(encode(dataset))
        if head == "synthetic":
            results, _ = results_on(series)
            failed = build_text_report(first, results["failed"], series.headers)
            later = build_text_report(second, results["positive"], series.headers, previous=failed)
            (folder / "previous-SR").write_bytes(encode(later))
    return folder


@pytest.fixture(scope="module")
def verdicts(objects: Path) -> dict[str, dict[str, object]]:
    """What the validators say of each object; those without a template cost little together."""
    files = sorted(objects.iterdir())
    done = subprocess.run([PEERS, "validate", *files], capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(files), done.stderr
    return {file.name: verdict for file, verdict in zip(files, lines, strict=True)}


@pytest.mark.parametrize("name", NAMES)
def test_validators_find_no_error_and_warn_only_of_what_is_explained(
    name: str, verdicts: dict[str, dict[str, object]]
) -> None:
    verdict = verdicts[name]
    assert verdict["errors"] == []
    patterns = (*EXPECTED_WARNINGS, *(INHERITED if name.startswith("real") else ()))
    warnings = verdict["warnings"]
    assert isinstance(warnings, list)
    assert [w for w in warnings if not any(re.fullmatch(p, w) for p in patterns)] == []
    assert not verdict["quirks"]
    kind = name.rpartition("-")[2]
    iods = {"SC": "SCImage", "KO": "KeyObjectSelectionDocument", "SR": "BasicTextSR"}
    assert verdict["iod"] == iods[kind]
    if kind == "SR":
        assert verdict["template"] == "TID_2000"


def test_every_object_was_validated(objects: Path) -> None:
    assert sorted(NAMES) == sorted(file.name for file in objects.iterdir())
