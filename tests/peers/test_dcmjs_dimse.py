"""The node with dcmjs-dimse, an independent DICOM stack, as its sender and as its receiver."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from config.errors import PeerRefusedError
from ml.readers.dicom import read_series
from node.delivery import HELD
from node.peers import Caller, echo
from node.results.read_report import Conclusion, interpret_report
from storage.records import DeliveryState
from tests.integration.test_analysis import Site as AnalysingSite
from tests.integration.test_analysis import bleeding
from tests.integration.test_delivery import SiteMaker
from tests.integration.test_delivery import site as site  # noqa: PLC0414 - the fixture
from tests.integration.test_ladder import Sender, referenced
from tests.integration.test_ladder import site as analysing_site  # noqa: F401 - the fixture
from tests.support.ct_series import series_of, stack, write
from tests.support.dcmjs import Dcmjs, installed
from tests.support.heads import Head
from tests.support.listening import listening
from tests.support.pacs import RESULT_CLASSES, free_port
from tests.support.sender import TIMEOUTS
from tests.support.transcoding import LOSSLESS, write_as

pytestmark = [pytest.mark.peers, pytest.mark.timeout(600)]

GRID = stack(range(0, 60, 5), size=32, pixel_mm=7.0)
SENT = tuple(syntax for syntax in LOSSLESS if syntax != DeflatedExplicitVRLittleEndian)
"""It sends a deflated data set inflated (0.3.3), and is refused."""
CALLER = Caller("MIDLINE", TIMEOUTS)
KEPT_AS_THEY_ARE = ("PatientName", "PatientID", "StudyInstanceUID", "ImagePositionPatient", "Rows")


@pytest.fixture(scope="module")
def dcmjs() -> Dcmjs:
    return installed()


def by_uid(files: Sequence[Path]) -> dict[str, Dataset]:
    return {str(ds.SOPInstanceUID): ds for ds in map(dcmread, files)}


def test_images_of_every_syntax_on_several_associations_are_kept_as_they_were(
    dcmjs: Dcmjs, tmp_path: Path
) -> None:
    volume = Head(holder=False).volume(GRID)
    sent = {
        syntax: [
            write_as(image, syntax, tmp_path / syntax / f"{number}.dcm")
            for number, image in enumerate(series_of(volume, name=f"s{syntax}"))
        ]
        for syntax in SENT
    }
    with listening(tmp_path / "node", node={}) as node:
        answers = dcmjs.send(node.peer, list(sent.values()))
        kept = by_uid(node.kept())
        by_series: dict[str, list[Path]] = {}
        for path in node.kept():
            by_series.setdefault(str(dcmread(path).SeriesInstanceUID), []).append(path)
    for answer, files in zip(answers, sent.values(), strict=True):
        assert (answer.echo, answer.rejected, answer.error) == (0, None, None)
        assert answer.stored == {str(file): 0 for file in files}
    assert len(kept) == len(SENT) * len(GRID.slice_origins_mm)
    for syntax, files in sent.items():
        originals = by_uid(files)
        for uid, original in originals.items():
            for keyword in KEPT_AS_THEY_ARE:
                assert kept[uid][keyword].value == original[keyword].value, keyword
            if syntax.is_encapsulated:
                assert kept[uid].file_meta.TransferSyntaxUID == syntax
        series = by_series[str(dcmread(files[0]).SeriesInstanceUID)]
        assert np.array_equal(read_series(series).volume.hu, read_series(files).volume.hu)


def test_a_sender_that_is_not_known_is_rejected(dcmjs: Dcmjs, tmp_path: Path) -> None:
    files = write(series_of(Head(holder=False).volume(GRID))[:1], tmp_path / "ct")
    with listening(tmp_path / "node", node={"allowed_calling_ae_titles": ["CT1"]}) as node:
        (known,) = dcmjs.send(node.peer, [files])
        (stranger,) = dcmjs.send(node.peer, [files], ae_title="CT2")
    assert list(known.stored.values()) == [0]
    assert stranger.rejected == [1, 1, 3]
    assert not stranger.stored


def test_a_broken_image_is_refused_and_the_next_one_kept(dcmjs: Dcmjs, tmp_path: Path) -> None:
    images = series_of(Head(holder=False).volume(GRID))[:2]
    images[0].Modality = "MR"
    files = write(images, tmp_path / "ct")
    with listening(tmp_path / "node", node={}) as node:
        (answer,) = dcmjs.send(node.peer, [files])
        assert len(node.kept()) == 1
    assert list(answer.stored.values()) == [0xA900, 0]


def test_it_answers_our_echo_or_rejects_us(dcmjs: Dcmjs, tmp_path: Path) -> None:
    with dcmjs.archive(tmp_path / "a", RESULT_CLASSES) as archive:
        assert echo(archive.peer, caller=CALLER) > 0
    with (
        dcmjs.archive(tmp_path / "b", RESULT_CLASSES, reject=(1, 1, 3)) as archive,
        pytest.raises(PeerRefusedError, match="does not know our AE title"),
    ):
        echo(archive.peer, caller=CALLER)


def test_it_gets_our_results_when_it_has_room_and_each_once(
    dcmjs: Dcmjs, tmp_path: Path, site: SiteMaker
) -> None:
    statuses = {"SR": (0xA700,)}
    with dcmjs.archive(tmp_path / "a", RESULT_CLASSES, statuses=statuses) as archive:
        there = site(archive.peer)
        there.send()
        assert there.states() == [DeliveryState.SENT, DeliveryState.PENDING]
        there.send(attempt=2)
        assert there.states() == [DeliveryState.SENT, DeliveryState.SENT]
        held = archive.held()
    sent = [dcmread(there.files.path(each.path)) for each in there.deliveries()]
    assert {ds.SOPInstanceUID for ds in held.values()} == {ds.SOPInstanceUID for ds in sent}
    assert held["SEG"].PixelData.rstrip(b"\0") == sent[0].PixelData.rstrip(b"\0")
    assert interpret_report(held["SR"]) == interpret_report(sent[1])


def test_results_wait_until_it_knows_us(dcmjs: Dcmjs, tmp_path: Path, site: SiteMaker) -> None:
    port = free_port()
    with dcmjs.archive(tmp_path / "a", RESULT_CLASSES, port=port, reject=(1, 1, 3)) as archive:
        there = site(archive.peer)
        there.send()
        assert (there.deliveries()[0].last_error or "").startswith(HELD)
    with dcmjs.archive(tmp_path / "a", RESULT_CLASSES, port=port) as archive:
        there.send(attempt=2)
        assert set(archive.held()) == {"SEG", "SR"}


def test_a_syntax_and_a_class_that_it_refuses_are_replaced_once(
    dcmjs: Dcmjs,
    tmp_path: Path,
    analysing_site: AnalysingSite,  # noqa: F811
) -> None:
    classes = (SegmentationStorage, SecondaryCaptureImageStorage, ComprehensiveSRStorage)
    with dcmjs.archive(tmp_path / "a", classes) as archive:
        sender = Sender(analysing_site, archive.peer, compression="JPEG2000")
        job_id = sender.deliver(bleeding())
        held = archive.held()
    assert set(held) == {"SEG", "OT", "SR"}
    assert held["SEG"].file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert held["SR"].SOPClassUID == ComprehensiveSRStorage
    assert interpret_report(held["SR"]).conclusion is Conclusion.POSITIVE
    assert referenced(held["SR"]) == {held["SEG"].SOPInstanceUID}
    assert sender.refused() == {JPEG2000Lossless, Comprehensive3DSRStorage}
    states = {each.state for each in sender.deliveries(job_id)}
    assert states == {DeliveryState.SENT, DeliveryState.REPLACED}


def test_an_object_that_it_refuses_does_not_keep_the_rest_from_it(
    dcmjs: Dcmjs, tmp_path: Path, site: SiteMaker
) -> None:
    statuses = {"SEG": (0xA900,)}
    with dcmjs.archive(tmp_path / "a", RESULT_CLASSES, statuses=statuses) as archive:
        there = site(archive.peer)
        there.send()
        there.send(attempt=2)
        assert set(archive.held()) == {"SR"}
    assert there.states() == [DeliveryState.DEAD, DeliveryState.SENT]
