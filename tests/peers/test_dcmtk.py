"""The node with the programs of DCMTK: storescu, dcmsend, echoscu, storescp and dcmqrscp."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from config.errors import PeerRefusedError
from ml.readers.dicom import read_series
from node.delivery import HELD
from node.peers import Caller, Peer, echo
from node.results.read_report import interpret_report
from storage.records import DeliveryState
from tests.integration.test_analysis import Site as AnalysingSite
from tests.integration.test_analysis import bleeding
from tests.integration.test_delivery import Site, SiteMaker
from tests.integration.test_delivery import site as site  # noqa: PLC0414 - the fixture
from tests.integration.test_ladder import Sender, referenced
from tests.integration.test_ladder import site as analysing_site  # noqa: F401 - the fixture
from tests.support.ct_series import series_of, stack
from tests.support.heads import Head
from tests.support.listening import Listening, listening
from tests.support.pacs import free_port
from tests.support.peers_kit import dcmtk, peers, program_of_dcmtk, started, storescp
from tests.support.sender import TIMEOUTS
from tests.support.transcoding import LOSSLESS, write_as

pytestmark = [pytest.mark.peers, pytest.mark.timeout(600)]

NAME = "midline-dcmtk"
GRID = stack(range(0, 60, 5), size=32, pixel_mm=7.0)
CALLER = Caller("MIDLINE", TIMEOUTS)
PROPOSED = {
    ExplicitVRLittleEndian: "-xe",
    ExplicitVRBigEndian: "-xb",
    ImplicitVRLittleEndian: "-xi",
    DeflatedExplicitVRLittleEndian: "-xd",
    JPEGLosslessSV1: "-xs",
    JPEGLSLossless: "-xt",
    JPEG2000Lossless: "-xv",
    RLELossless: "-xr",
}
"""How storescu is told what to propose; it knows no other syntax in which a node takes CT."""
PENDING, SENT = DeliveryState.PENDING, DeliveryState.SENT


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[UID, list[Path]]:
    """A head in every syntax, each as a study of its own."""
    folder = tmp_path_factory.mktemp("images")
    volume = Head(holder=False).volume(GRID)
    return {
        syntax: [
            write_as(image, syntax, folder / syntax / f"{number}.dcm")
            for number, image in enumerate(series_of(volume, name=f"s{syntax}"))
        ]
        for syntax in LOSSLESS
    }


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    known = {"allowed_calling_ae_titles": ["CT1"]}
    with listening(tmp_path_factory.mktemp("node"), node=known) as running:
        yield running


def kept_of(node: Listening, files: list[Path]) -> list[Path]:
    """What the node keeps of the series of some files."""
    series = dcmread(files[0], stop_before_pixels=True).SeriesInstanceUID
    return [
        p
        for p in node.kept()
        if dcmread(p, specific_tags=["SeriesInstanceUID"])["SeriesInstanceUID"].value == series
    ]


def assert_same(kept: list[Path], sent: list[Path]) -> None:
    assert len(kept) == len(sent)
    there, here = read_series(kept), read_series(sent)
    assert np.array_equal(there.volume.hu, here.volume.hu)
    assert [h.SOPInstanceUID for h in there.headers] == [h.SOPInstanceUID for h in here.headers]


def called(peer: Peer) -> list[str]:
    return ["-aec", peer.ae_title, peer.host, str(peer.port)]


@pytest.mark.parametrize("syntax", PROPOSED, ids=lambda syntax: syntax.name)
def test_storescu_stores_in_each_syntax_that_it_can_propose(
    node: Listening, images: dict[UID, list[Path]], syntax: UID
) -> None:
    files = images[syntax]
    dcmtk("storescu", "-R", PROPOSED[syntax], "-aet", "CT1", *called(node.peer), *files)
    kept = kept_of(node, files)
    assert_same(kept, files)
    assert {dcmread(path).file_meta.TransferSyntaxUID for path in kept} == {syntax}


def test_dcmsend_stores_all_syntaxes_on_several_associations(
    tmp_path: Path, images: dict[UID, list[Path]]
) -> None:
    folder = images[ExplicitVRLittleEndian][0].parents[1]
    with listening(tmp_path, node={}) as node:
        (told,) = peers("send", folder, "--to", node.peer, "--associations", 4)
        assert (told["instances"], told["failures"]) == (len(LOSSLESS) * GRID.shape[0], 0)
        for files in images.values():
            assert_same(kept_of(node, files), files)


def test_echoscu_is_answered_and_a_stranger_is_not(node: Listening) -> None:
    dcmtk("echoscu", "-aet", "CT1", *called(node.peer))
    elsewhere = Peer("OTHER", node.peer.host, node.peer.port)
    for words in (["-aet", "CT2", *called(node.peer)], ["-aet", "CT1", *called(elsewhere)]):
        command = [program_of_dcmtk("echoscu"), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert "Rejected" in done.stderr


def test_storescp_and_dcmqrscp_answer_our_echo(tmp_path: Path) -> None:
    with storescp(tmp_path / "kept") as peer:
        assert echo(peer, caller=CALLER) > 0
    with started("archive", NAME) as (peer, _):
        assert echo(peer, caller=CALLER) > 0


def test_storescp_that_refuses_us_is_told_to_the_administrator(tmp_path: Path) -> None:
    with (
        storescp(tmp_path / "kept", "--refuse") as peer,
        pytest.raises(PeerRefusedError, match="rejected the association"),
    ):
        echo(peer, caller=CALLER)


def same_as_sent(there: Site, folder: Path) -> bool:
    """Whether a folder holds just the results, of the same content."""
    sent = [dcmread(there.files.path(each.path)) for each in there.deliveries()]
    held = {dcmread(path).SOPInstanceUID: dcmread(path) for path in folder.iterdir()}
    mask, report = sent
    return (
        set(held) == {mask.SOPInstanceUID, report.SOPInstanceUID}
        and held[mask.SOPInstanceUID].PixelData == mask.PixelData
        and interpret_report(held[report.SOPInstanceUID]) == interpret_report(report)
    )


def test_storescp_gets_results_byte_by_byte(tmp_path: Path, site: SiteMaker) -> None:
    with storescp(tmp_path / "kept", "-pm", "+B") as peer:
        there = site(peer)
        there.send()
    assert there.states() == [SENT, SENT]
    assert same_as_sent(there, tmp_path / "kept")


def test_storescp_of_implicit_syntax_alone_gets_results_in_it(
    tmp_path: Path, site: SiteMaker
) -> None:
    with storescp(tmp_path / "kept", "-pm", "+xi", "+B") as peer:
        there = site(peer)
        there.send()
    syntaxes = {dcmread(p).file_meta.TransferSyntaxUID for p in (tmp_path / "kept").iterdir()}
    assert syntaxes == {ImplicitVRLittleEndian}
    assert same_as_sent(there, tmp_path / "kept")


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("--refuse", f"{HELD}: "),
        ("--abort-after", ""),
        ("--abort-during", ""),
    ],
)
def test_results_outlast_the_faults_of_storescp(
    tmp_path: Path, site: SiteMaker, fault: str, told: str
) -> None:
    port = free_port()
    with storescp(tmp_path / "kept", "-pm", fault, port=port) as peer:
        there = site(peer)
        there.send()
        assert there.states() == [PENDING, PENDING]
        assert there.queued() == ["2"]
        assert (there.deliveries()[0].last_error or "").startswith(told)
    for path in (tmp_path / "kept").iterdir():
        path.unlink()
    with storescp(tmp_path / "kept", "-pm", port=port):
        there.send(attempt=2)
    assert there.states() == [SENT, SENT]
    assert same_as_sent(there, tmp_path / "kept")


def test_a_compressed_mask_that_dcmqrscp_does_not_take_is_written_plain_once(
    analysing_site: AnalysingSite,  # noqa: F811
) -> None:
    with started("archive", NAME) as (peer, described):
        sender = Sender(analysing_site, peer, compression="JPEG2000")
        job_id = sender.deliver(bleeding())
        folder = Path(str(described["folder"]))
        held = {ds.Modality: ds for ds in map(dcmread, folder.glob("*_*"))}
    assert set(held) == {"SEG", "OT", "SR"}
    assert held["SEG"].file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert referenced(held["SR"]) == {held["SEG"].SOPInstanceUID}
    assert sender.refused() == {JPEG2000Lossless}
    assert {each.state for each in sender.deliveries(job_id)} == {SENT, DeliveryState.REPLACED}


def test_a_compressed_mask_goes_to_storescp_as_it_is(
    tmp_path: Path,
    analysing_site: AnalysingSite,  # noqa: F811
) -> None:
    with storescp(tmp_path / "kept", "-pm", "+xa", "+B") as peer:
        sender = Sender(analysing_site, peer, compression="JPEG2000")
        sender.deliver(bleeding())
    held = {ds.Modality: ds for ds in map(dcmread, (tmp_path / "kept").iterdir())}
    assert held["SEG"].file_meta.TransferSyntaxUID == JPEG2000Lossless
    assert sender.refused() == frozenset()
