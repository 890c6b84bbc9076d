"""Every form of a Segmentation before others' software: their validator, and DCMTK as reader."""

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from numpy.typing import NDArray

from ml.readers.dicom import Series, read_series
from node.results.forms import Compression
from node.results.headers import encode
from tests.support.peers_kit import dcmtk, peers
from tests.support.result_inputs import make_context, make_grid, make_mask, make_series
from tests.support.segmentation_files import (
    WAYS,
    Case,
    Header,
    Way,
    build_in,
    cases,
    inline_pixels,
    jpeg_2000_frames,
    labels_in,
    native_frames,
)
from tests.support.shared_data import shared_files

pytestmark = [pytest.mark.peers, pytest.mark.slow, pytest.mark.timeout(600)]

UNEVEN_MM = (0, 4, 8, 12, 13.08, 14.16, 15.24, 22.24, 29.24, 36.24, 43.24, 50.24)
SOURCES = ("synthetic", "multi-frame", "head_ct_ge")
EXPECTED_WARNINGS = (
    r"dciodvfy: .* not present in standard DICOM IOD - \(0x0018,0x1002\) UI Device UID ",
    r"dciodvfy: .* this is a Standard Extended SOP Class",  # for the Device UID, which AIR wants
)
INHERITED = (  # the real head's own: no study date, a name of one part
    r"dciodvfy: .* needed to build DICOMDIR - Study (Date|Time|ID)",
    r"dciodvfy: .*(Patient's Name|Person Name|PersonName).*",
)


def source(name: str) -> Series:
    if name == "head_ct_ge":
        return read_series(shared_files("head_ct_ge"))
    grid = make_grid(heights_mm=UNEVEN_MM, tilt_deg=-18.5)
    return make_series(grid, multi_frame=name == "multi-frame", num_spare_frames=2)


@pytest.mark.parametrize("name", SOURCES)
def test_the_validator_finds_no_error_in_any_form(name: str, tmp_path: Path) -> None:
    series = source(name)
    header = series.headers[0]
    context = make_context(
        study_instance_uid=header.StudyInstanceUID, series_instance_uid=header.SeriesInstanceUID
    )
    mask = make_mask(series.volume.grid, scale=12 if name == "head_ct_ge" else 1)
    for way in WAYS:
        (tmp_path / str(way)).write_bytes(encode(build_in(way, context, series, mask)[0]))
    verdicts = peers("validate", *(tmp_path / str(way) for way in WAYS))
    assert len(verdicts) == len(WAYS)
    explained = (*EXPECTED_WARNINGS, *(INHERITED if name == "head_ct_ge" else ()))
    for verdict in verdicts:
        assert verdict["errors"] == [], verdict
        assert verdict["iod"] == "Segmentation"
        assert not verdict["quirks"]
        for warning in verdict["warnings"]:
            assert any(re.fullmatch(pattern, warning) for pattern in explained), warning


@pytest.mark.parametrize("way", WAYS, ids=str)
@settings(max_examples=20, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(case=cases())
def test_dcmtk_reads_every_voxel_back_from_the_file_alone(way: Way, case: Case) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "seg.dcm"
        file.write_bytes(encode(build_in(way, make_context(), case.series, case.mask)[0]))
        header, frames = read_by_dcmtk(file, way.compression)
    np.testing.assert_array_equal(labels_in(header, frames, case.series), case.mask.labels)


def read_by_dcmtk(file: Path, compression: Compression) -> tuple[Header, NDArray[np.uint8]]:
    """Read header and pixels; JPEG 2000, which DCMTK 3.6 does not decode, by its fragments."""
    if compression is Compression.JPEG2000:
        dcmtk("dcmdump", "-q", "+W", file.parent, file)
        count = len(list(file.parent.glob("*.raw")))
        streams = [file.with_name(f"{file.name}.{n}.raw").read_bytes() for n in range(1, count)]
        dcmtk("dcmodify", "--no-backup", "--erase", "(7fe0,0010)", file)
        header = json.loads(dcmtk("dcm2json", file))
        return header, jpeg_2000_frames(header, streams)
    if compression is Compression.RLE:
        dcmtk("dcmdrle", file, file)
    header = json.loads(dcmtk("dcm2json", file))
    return header, native_frames(header, inline_pixels(header))
