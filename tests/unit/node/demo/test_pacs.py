"""The demo's PACS with a real sender."""

from pathlib import Path

from pydicom import dcmread

from ml.volume import Subtype
from node.demo.pacs import REPORT, SEGMENTATION, running_pacs
from node.results.segmentation import build_segmentation
from tests.support.result_inputs import make_context, make_grid, make_mask, make_series
from tests.support.sender import calling, encoded


def test_what_arrives_is_kept_byte_for_byte(tmp_path: Path) -> None:
    grid = make_grid()
    segmentation, _ = build_segmentation(
        make_context(), make_series(grid), make_mask(grid, (Subtype.IPH,))
    )
    with running_pacs(tmp_path / "pacs") as pacs:
        with calling(pacs.peer, [SEGMENTATION]) as association:
            assert association.send_c_store(segmentation).Status == 0
            assert not pacs.has_report(segmentation.StudyInstanceUID)
        (arrival,) = pacs.arrivals
    assert arrival.path == tmp_path / "pacs" / "001-SEG.dcm"
    assert arrival.study_instance_uid == segmentation.StudyInstanceUID
    assert encoded(dcmread(arrival.path)) == encoded(segmentation)


def test_it_takes_results_and_no_images(tmp_path: Path) -> None:
    ct_image = "1.2.840.10008.5.1.4.1.1.2"
    with (
        running_pacs(tmp_path / "pacs") as pacs,
        calling(pacs.peer, [REPORT, ct_image]) as association,
    ):
        accepted = [context.abstract_syntax for context in association.accepted_contexts]
    assert accepted == [REPORT]
