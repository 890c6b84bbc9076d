"""Real files of several manufacturers are read, chosen or refused as they should be."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from config.errors import InputError, QualityError, Reason, UnreadableInputError
from ml.quality import check_head
from ml.readers.dicom import read_header, read_series
from ml.readers.part10 import read_with_pixels
from ml.readers.pixels import decoded_frames, is_lossy, pixel_format
from node.selection import Caution, Rejection, select_series
from tests.support.shared_data import shared_data, shared_files

pytestmark = pytest.mark.peers

LOSSLESS_FRAMES = (
    "explicit_little_endian", "fragmented_no_bot_jpeg_lossless.57",
    "fragmented_no_bot_jpeg_lossless.70", "fragmented_no_bot_jpeg_ls.80",
    "not_fragmented_bot_jpeg_ls.80", "not_fragmented_no_bot_jpeg_ls.80",
    "not_fragmented_bot_rle", "not_fragmented_no_bot_rle",
)  # fmt: skip


def _digest(file: Path) -> str:
    stored = pixel_format(read_header(file))
    frames = decoded_frames(read_with_pixels(file), stored)
    return hashlib.sha256(b"".join(frame.tobytes() for frame in frames)).hexdigest()


def test_the_tilted_uneven_head_is_chosen_read_and_shows_a_whole_head() -> None:
    files = shared_files("head_ct_ge")
    chosen = select_series(files).chosen
    assert chosen is not None
    assert [file.name for file in chosen.files] == [f"{number:02}.dcm" for number in range(1, 29)]
    assert set(chosen.warnings) == {
        Caution.GANTRY_TILT,
        Caution.SEVERAL_ACQUISITIONS,
        Caution.VARYING_SPACING,
    }
    series = read_series(chosen.files)
    grid = series.volume.grid
    steps = np.diff(grid.slice_origins_mm @ grid.normal)
    np.testing.assert_allclose(steps, [4.0] * 13 + [1.08] + [7.0] * 13, atol=0.01)
    assert np.rad2deg(np.arccos(grid.normal[2])) == pytest.approx(18.5, abs=0.01)
    assert series.volume.hu.min() == -1024
    assert not series.lossy
    check_head(series.volume)


@pytest.mark.parametrize("lost", [index for index in range(1, 27) if index != 13])
def test_no_slice_of_the_real_head_can_be_lost_unnoticed(lost: int) -> None:
    files = shared_files("head_ct_ge")
    del files[lost]
    selection = select_series(files)
    assert selection.reason is Reason.INCOMPLETE
    assert [rejected.rejection for rejected in selection.rejected] == [Rejection.MISSING_SLICES]


@pytest.mark.parametrize(("kept", "message"), [(slice(0, 24), "vertex"), (slice(11, 28), "fossa")])
def test_a_real_head_that_is_cut_off_is_told(kept: slice, message: str) -> None:
    files = shared_files("head_ct_ge")[kept]
    with pytest.raises(QualityError, match=message):
        check_head(read_series(files).volume)


def test_of_the_phantom_the_brain_series_is_taken_and_shows_no_brain() -> None:
    selection = select_series(shared_files("phantom_philips"))
    assert selection.chosen is not None
    assert {file.parent.name for file in selection.chosen.files} == {"S2010"}
    assert len(selection.chosen.files) == 28
    assert (selection.chosen.warnings, selection.chosen.score) == ((), 100)
    assert {(r.series_number, r.rejection) for r in selection.rejected} == {
        (100, Rejection.LOCALIZER),
        (401, Rejection.SECONDARY),
    }
    with pytest.raises(QualityError, match="a brain has at least"):
        check_head(read_series(selection.chosen.files).volume)


@pytest.mark.parametrize("folder", ["S1000", "S4010"])
def test_scout_and_summary_pages_alone_are_not_analysed(folder: str) -> None:
    selection = select_series(shared_files("phantom_philips", folder))
    assert selection.chosen is None
    assert selection.reason is Reason.TYPES


@pytest.mark.parametrize(
    ("folder", "rejection"),
    [
        ("gantrytilting", Rejection.TOO_FEW_SLICES),
        ("sliceincrement", Rejection.MISSING_SLICES),
        ("notavolume", Rejection.DUPLICATE_POSITIONS),
    ],
)
def test_broken_geometry_is_rejected_for_what_is_broken(folder: str, rejection: Rejection) -> None:
    selection = select_series(shared_files("intake", "broken", folder))
    assert [rejected.rejection for rejected in selection.rejected] == [rejection]
    assert selection.reason is rejection.reason


def test_a_cartoon_that_claims_to_be_a_head_ct_is_refused() -> None:
    files = shared_files("intake", "not_a_head")
    selection = select_series(files)
    assert [rejected.rejection for rejected in selection.rejected] == [Rejection.SECONDARY]
    assert selection.reason is Reason.TYPES
    with pytest.raises(InputError):
        read_series(files)
    with pytest.raises(UnreadableInputError, match="Samples per Pixel is 3"):
        pixel_format(read_header(files[0]))


def test_every_lossless_encoding_of_an_image_decodes_to_the_same_pixels() -> None:
    files = [
        file for file in shared_files("intake", "compressed") if file.name.startswith("CT1_UNC")
    ]
    assert len(files) == 8
    assert len({_digest(file) for file in files}) == 1
    series = [read_series([file]) for file in files]
    assert len({one.pixel_digest for one in series}) == 1
    assert (series[0].volume.hu.min(), series[0].volume.hu.max()) == (-1024, 1254)


def test_every_lossless_encoding_of_a_multi_frame_image_decodes_to_the_same_pixels() -> None:
    folder = shared_data("intake", "compressed", "encapsulated", "multi-frame")
    files = [folder / f"CT0012.{kind}.dcm" for kind in LOSSLESS_FRAMES]
    assert len({_digest(file) for file in files}) == 1
    assert not any(is_lossy(read_header(file)) for file in files)


def test_near_lossless_pixels_are_near_and_flagged() -> None:
    folder = shared_data("intake", "compressed", "encapsulated", "multi-frame")
    plain, near = (
        list(decoded_frames(read_with_pixels(file), pixel_format(read_header(file))))
        for file in (
            folder / "CT0012.explicit_little_endian.dcm",
            folder / "CT0012.fragmented_no_bot_jpeg_ls.81.dcm",
        )
    )
    assert is_lossy(read_header(folder / "CT0012.fragmented_no_bot_jpeg_ls.81.dcm"))
    difference = np.abs(np.stack(plain).astype(int) - np.stack(near).astype(int))
    assert 0 < difference.max() <= 4


def test_a_map_of_blood_flow_is_no_ct_volume() -> None:
    file = shared_data(
        "intake", "compressed", "encapsulated", "multi-frame", "CT0012.explicit_little_endian.dcm"
    )
    with pytest.raises(UnreadableInputError, match="not HU"):
        read_series([file])
    selection = select_series([file])
    assert [rejected.rejection for rejected in selection.rejected] == [Rejection.PROCESSED]


def test_lossy_twelve_bit_jpeg_has_no_decoder_and_is_refused() -> None:
    folder = shared_data("intake", "compressed", "encapsulated", "multi-frame")
    with pytest.raises(UnreadableInputError, match="no decoder"):
        pixel_format(read_header(folder / "CT0012.fragmented_no_bot_jpeg_baseline.51.dcm"))


def test_a_deflated_image_is_decoded() -> None:
    file = shared_data("intake", "compressed", "deflate", "image_dfl")
    (frame,) = decoded_frames(read_with_pixels(file), pixel_format(read_header(file)))
    assert frame.shape == (512, 512)
    assert (frame.min(), frame.max()) == (0, 255)


def test_no_foreign_file_of_the_intake_is_chosen() -> None:
    for file in shared_files("intake"):
        assert select_series([file]).chosen is None
