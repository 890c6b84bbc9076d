"""What the node wrote into a study is never its input, whatever the form."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from config.errors import Reason
from ml.readers.dicom import Series, read_series
from ml.volume import Mask, Subtype
from node.results.headers import encode
from node.results.key_objects import build_key_objects
from node.results.outcomes import StudyResult
from node.results.report import build_report
from node.results.secondary_capture import build_overlay, build_summary_page
from node.results.segmentation import build_segmentation
from node.results.text_report import build_text_report
from node.selection import Rejection, select_series
from tests.support.ct_series import head_series, write
from tests.support.result_inputs import make_context, make_finding


def results_of(series: Series) -> list[Dataset]:
    """One object of every form that the node has for a finding."""
    header = series.headers[0]
    context = make_context(
        study_instance_uid=header.StudyInstanceUID, series_instance_uid=header.SeriesInstanceUID
    )
    labels = np.zeros(series.volume.hu.shape, np.uint8)
    labels[4:6, 10:13, 8:11] = Subtype.EDH
    mask = Mask(labels, series.volume.grid)
    found = [make_finding(mask, Subtype.EDH)]
    result = StudyResult.positive(found, num_images=len(series.headers))
    segmentation, numbers = build_segmentation(context, series, mask)
    return [
        segmentation,
        build_report(
            context,
            result,
            series.headers,
            segmentation=segmentation,
            segment_numbers=numbers,
        ),
        build_text_report(context, result, series.headers),
        build_key_objects(context, result, series.headers, frames=series.frames),
        build_summary_page(context, result, series.headers),
        *build_overlay(context, result, series, mask),
    ]


def write_results(series: Series, folder: Path) -> list[Path]:
    folder.mkdir()
    files = []
    for number, dataset in enumerate(results_of(series)):
        files.append(folder / f"{number}.dcm")
        files[-1].write_bytes(encode(dataset))
    return files


def test_beside_results_of_all_forms_the_images_are_chosen(tmp_path: Path) -> None:
    images = write(head_series(), tmp_path / "images")
    series = read_series(images)
    selection = select_series([*write_results(series, tmp_path / "results"), *images])
    assert selection.chosen is not None
    assert selection.chosen.series_instance_uid == series.headers[0].SeriesInstanceUID
    assert len(selection.rejected) == 6
    assert {rejected.rejection for rejected in selection.rejected} == {Rejection.OWN_RESULT}


def test_a_folder_of_results_alone_has_nothing_to_analyse(tmp_path: Path) -> None:
    series = read_series(write(head_series(), tmp_path / "images"))
    selection = select_series(write_results(series, tmp_path / "results"))
    assert selection.chosen is None
    assert selection.reason is Reason.TYPES
    assert {r.rejection.sentence for r in selection.rejected} == {
        "A result of this node is never its input."
    }


@pytest.mark.parametrize("keep_class", [True, False])
def test_own_results_are_known_under_another_manufacturer(
    tmp_path: Path, *, keep_class: bool
) -> None:
    images = head_series()
    series = read_series(write(images, tmp_path / "images"))
    contribution = results_of(series)[0].ContributingEquipmentSequence
    if keep_class:
        # as if somebody had made a CT series of a result
        for image in images:
            image.ContributingEquipmentSequence = contribution
        files = write(images, tmp_path / "derived")
    else:
        (tmp_path / "results").mkdir()
        files = []
        for number, dataset in enumerate(results_of(series)):
            dataset.Manufacturer = "Hospital"
            files.append(tmp_path / "results" / f"{number}.dcm")
            files[-1].write_bytes(encode(dataset))
    selection = select_series(files)
    assert selection.chosen is None
    assert {rejected.rejection for rejected in selection.rejected} == {Rejection.OWN_RESULT}
