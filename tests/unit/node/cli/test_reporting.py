"""``midline report read``: every outcome comes back; a mistake is one line."""

import json
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from ml.findings import Side
from node.results.headers import encode
from node.results.outcomes import DISCLAIMER
from node.results.report import DOCUMENTS
from node.results.text_report import build_text_report
from tests.support.result_inputs import MODEL, make_context
from tests.unit.node.cli.conftest import Run
from tests.unit.node.results.test_mutilated_reports import RESULTS, parsed
from tests.unit.node.results.test_report import SERIES


def written(document: Dataset, folder: Path) -> str:
    path = folder / "report.dcm"
    path.write_bytes(encode(document))
    return str(path)


@pytest.mark.parametrize("name", RESULTS)
def test_every_outcome_comes_back_as_json(name: str, run: Run, tmp_path: Path) -> None:
    result = RESULTS[name]
    done = run("report", "read", written(parsed(name), tmp_path), "--json")
    assert done.exit_code == 0
    said = json.loads(done.stdout)
    assert (said["outcome"], said["presence"]) == (result.outcome, result.presence)
    assert said["reason"] == (None if result.reason is None else result.reason)
    assert {n: s["presence"] for n, s in said["subtypes"].items()} == {
        subtype.name: presence for subtype, presence in result.subtypes.items()
    }
    assert {n: s["volume_ml"] for n, s in said["subtypes"].items() if s["volume_ml"]} == {
        finding.subtype.name: round(finding.volume_ml, 2) for finding in result.findings
    }
    assert said["case_score_percent"] == result.case_score_percent
    assert said["model"]["device_uid"] == MODEL.device_uid
    assert bool(said["segmentation_uid"]) == bool(result.findings)
    assert said["predecessor_uid"]
    assert said["disclaimer"] == DISCLAIMER


@pytest.mark.parametrize("form", DOCUMENTS)
def test_every_form_is_shown_as_a_table(form: str, run: Run, tmp_path: Path) -> None:
    done = run("report", "read", written(parsed("positive", form), tmp_path))  # type: ignore[arg-type]
    (finding,) = RESULTS["positive"].findings
    assert done.exit_code == 0
    for words in (
        "POSITIVE",
        "5.2 mm to the left",
        "97.4 % (not a probability)",
        f"{finding.volume_ml:.2f}",
        Side.RIGHT,
        f"{MODEL.name} {MODEL.version}",
        form,
        DISCLAIMER,
    ):
        assert str(words) in done.stdout


def test_a_damaged_report_has_no_result(run: Run, tmp_path: Path) -> None:
    document = parsed("negative")
    document.ContentSequence = document.ContentSequence[:-1]
    file = written(document, tmp_path)
    said = json.loads(run("report", "read", file, "--json").stdout)
    assert (said["outcome"], said["conclusion"]) == (None, "NO_RESULT")
    table = run("report", "read", file).stdout
    assert "no result" in table
    assert "NEGATIVE" not in table


def test_a_text_report_carries_no_coded_outcome(run: Run, tmp_path: Path) -> None:
    text = build_text_report(make_context(), RESULTS["negative"], SERIES.headers)
    done = run("report", "read", written(text, tmp_path))
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "no coded outcome" in done.stderr


def test_what_is_no_report_is_a_mistake_in_one_line(run: Run, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"text" * 99)
    image = written(parsed("negative"), tmp_path)
    document = parsed("negative")
    document.SOPClassUID = document.file_meta.MediaStorageSOPClassUID = SERIES.headers[
        0
    ].SOPClassUID
    written(document, tmp_path)
    for file, code in (
        (str(other), 1),
        (image, 1),
        (str(tmp_path / "none"), 2),
        (str(tmp_path), 2),
    ):
        done = run("report", "read", file)
        assert (done.exit_code, done.stderr.count("\n")) == (code, 1), file
        assert done.stdout == ""
