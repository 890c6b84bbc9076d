"""What a reader sees: our objects in OHIF, in a real browser, beside what we say of them.

A head is made with blood whose place is known, and the true mask is written. The viewer's panel and
texts are compared with our numbers, and its picture with the images: blood of the patient's left
must be drawn on the blood of the patient's left, however the scanner stored its slices.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from ml.findings import Finding, measure
from ml.phantom import Phantom, Scan, make_phantom
from ml.plane import Alignment
from ml.readers.dicom import Series, read_series
from ml.volume import Mask, Subtype
from node.results import codes
from node.results.forms import SegmentationForm
from node.results.headers import encode
from node.results.outcomes import StudyResult
from node.results.report import build_report
from node.results.segmentation import build_segmentation
from tests.support.ct_series import series_of, write
from tests.support.heads import Storage
from tests.support.peers_kit import peers
from tests.support.result_inputs import make_context

pytestmark = [pytest.mark.peers, pytest.mark.slow, pytest.mark.timeout(600)]

PACS, OHIF = "midline-viewer-pacs", "midline-viewer"
SEED = 2_000_104
"""A head whose SDH is the largest of its bleeds, and lies on the left alone."""
WHITE_HU = 80
"""From here on voxels are white in the window of the images."""
SCORE_PERCENT = {subtype: 90.0 + subtype for subtype in Subtype}

UPRIGHT = Storage()
FROM_ABOVE = Storage(columns_reversed=True, slices_reversed=True)
"""As a scanner may store a patient who lies feet first: columns run to the right, slices down."""


@dataclass(frozen=True, eq=False)
class Study:
    """A study in the PACS, and the truth about it."""

    series: Series
    mask: Mask
    findings: tuple[Finding, ...]

    @property
    def uid(self) -> str:
        """Study Instance UID."""
        return str(self.series.headers[0].StudyInstanceUID)


@dataclass(frozen=True)
class Viewer:
    """OHIF on a PACS of its own."""

    pacs: str
    folder: Path

    def holds(self, study: Study, *, form: SegmentationForm = SegmentationForm.BINARY) -> Study:
        """Write the results of a study whose images lie in the folder, and send all of it."""
        header = study.series.headers[0]
        context = make_context(
            study_instance_uid=study.uid, series_instance_uid=header.SeriesInstanceUID
        )
        segmentation, numbers = build_segmentation(context, study.series, study.mask, form=form)
        (self.folder / "seg.dcm").write_bytes(encode(segmentation))
        if form is SegmentationForm.BINARY:
            report = build_report(
                context,
                StudyResult.positive(
                    study.findings, num_images=len(study.series.frames), case_score_percent=97.4
                ),
                study.series.headers,
                frames=study.series.frames,
                segmentation=segmentation,
                segment_numbers=numbers,
            )
            (self.folder / "sr.dcm").write_bytes(encode(report))
        peers("send", self.folder, "--to", self.pacs)
        return study

    def shows(self, study: Study, **what: str) -> tuple[dict[str, Any], NDArray[np.uint8]]:
        """Open a study with its ``segmentation`` or ``report``: texts, and picture (Y, X, RGB)."""
        file = self.folder / "shot.png"
        ((option, label),) = what.items()
        # on a busy machine the viewer's tour of itself opens after the kit has looked for it
        (seen,) = peers(
            "viewer", "shot", study.uid, file, "--name", OHIF, f"--{option}", label, tries=3
        )
        return seen, np.asarray(Image.open(file).convert("RGB"))


@pytest.fixture(scope="module")
def pacs_address() -> Iterator[str]:
    pacs = peers("pacs", "start", "--name", PACS)[0]
    try:
        peers("viewer", "start", "--name", OHIF, "--pacs", PACS)
        try:
            yield f"{pacs['aet']}@127.0.0.1:{pacs['dicom_port']}"
        finally:
            peers("viewer", "stop", "--name", OHIF)
    finally:
        peers("pacs", "stop", "--name", PACS)


@pytest.fixture
def viewer(pacs_address: str, tmp_path: Path) -> Viewer:
    return Viewer(pacs_address, tmp_path)


@cache
def head(subtypes: tuple[Subtype, ...], tilt_deg: float) -> Phantom:
    scan = Scan(matrix=256, gantry_tilt_deg=tilt_deg, head_holder=False)
    return make_phantom(SEED, subtypes, scan=scan)


def scanned(
    folder: Path,
    subtypes: Sequence[Subtype],
    *,
    storage: Storage = UPRIGHT,
    tilt_deg: float = 0.0,
    name: str,
) -> Study:
    """Scan a head with known bleeds, and read its images back."""
    phantom = head(tuple(subtypes), tilt_deg)
    volume, labels = storage.volume(phantom.volume), storage.array(phantom.mask.labels)
    images = series_of(
        volume,
        name=name,
        GantryDetectorTilt=str(tilt_deg),
        PatientPosition="HFS" if storage is UPRIGHT else "FFS",
        WindowCenter="40",
        WindowWidth="80",
    )
    series = read_series(write(images, folder))
    apart_mm = series.volume.grid.slice_origins_mm[:, None] - volume.grid.slice_origins_mm
    order = np.linalg.norm(apart_mm, axis=2).argmin(axis=1)
    mask = Mask(labels[order], series.volume.grid)
    findings = measure(
        series.volume,
        mask,
        certainty_percent=SCORE_PERCENT,
        alignment=Alignment.identity(mask.grid),
    )
    return Study(series, mask, findings)


SEG_LABEL = "AI ICH segmentation - NOT FOR DIAGNOSIS"
SR_LABEL = "AI ICH report POSITIVE - NOT FOR DIAGNOSIS"


@pytest.mark.parametrize("form", [SegmentationForm.BINARY, SegmentationForm.LABELMAP])
def test_segments_have_our_names_colours_and_volumes(
    viewer: Viewer, form: SegmentationForm
) -> None:
    study = viewer.holds(scanned(viewer.folder, tuple(Subtype), name=f"five-{form}"), form=form)
    seen, picture = viewer.shows(study, segmentation=SEG_LABEL)
    for segment, subtype in zip(seen["segments"], Subtype, strict=True):
        terms = codes.SUBTYPES[subtype]
        assert (segment["name"], segment["number"]) == (terms.label, subtype)
        assert segment["color"] == pytest.approx(terms.rgb, abs=2)
        true_ml = study.mask.volume_ml(subtype)
        assert segment["volume_mm3"] / 1000 == pytest.approx(true_ml, rel=1e-3)
    check_place(study, picture, right_half=True)


def test_the_report_shows_our_measurements(viewer: Viewer) -> None:
    study = viewer.holds(scanned(viewer.folder, tuple(Subtype), name="report"))
    seen, _ = viewer.shows(study, report=SR_LABEL)
    expected = [
        [
            f"Volume: {finding.volume_ml:.2f} ml",
            f"Attenuation Coefficient: {round(finding.mean_hu, 1):.2f} [hnsf'U]",
            f"Diameter: {round(finding.max_diameter_mm, 1):.2f} mm",
            f"Area: {round(finding.outlines[0].area_mm2, 1):.2f} mm2",
            f"Certainty of Finding: {finding.certainty_percent:.2f} %",
        ]
        for finding in study.findings
    ]
    assert len(expected) == len(Subtype)
    assert [lines for lines in seen["measurements"] if lines[0].startswith("Volume")] == expected


@pytest.mark.parametrize(
    ("storage", "tilt_deg", "right_half"),
    [(UPRIGHT, 18.5, True), (FROM_ABOVE, 0.0, False)],
    ids=["tilted", "from-above"],
)
def test_blood_of_the_left_is_drawn_on_the_left(
    viewer: Viewer, storage: Storage, tilt_deg: float, *, right_half: bool
) -> None:
    name = f"side-{tilt_deg}"
    study = viewer.holds(
        scanned(viewer.folder, [Subtype.SDH], storage=storage, tilt_deg=tilt_deg, name=name)
    )
    seen, picture = viewer.shows(study, segmentation=SEG_LABEL)
    (segment,) = seen["segments"]
    true_ml = study.mask.volume_ml(Subtype.SDH)
    assert segment["volume_mm3"] / 1000 == pytest.approx(true_ml, rel=1e-3)
    check_place(study, picture, right_half=right_half)


def check_place(study: Study, picture: NDArray[np.uint8], *, right_half: bool) -> None:
    """Hold the SDH that is coloured in a picture against that of the patient.

    The viewer shows images as they are stored, with the patient's left on the right of the picture
    only where columns run to the left.
    """
    grid = study.mask.grid
    sdh = study.mask.labels == Subtype.SDH
    assert (grid.positions_mm(np.argwhere(sdh).astype(float))[:, 0] > 0).all(), "not on the left"
    assert right_half == (grid.row_direction[0] > 0)
    drawn = place_in_skull(is_green(picture), picture.min(axis=2) >= 250)
    assert (drawn[1] > 0.5) == right_half
    true = [
        place_in_skull(blood, hu >= WHITE_HU)
        for blood, hu in zip(sdh, study.series.volume.hu, strict=True)
        if blood.any()
    ]
    assert np.abs(np.array(true) - drawn).max(axis=1).min() < 0.01


def is_green(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels in the colour of SDH, pure or laid over grey."""
    red, green, blue = np.moveaxis(picture.astype(int), 2, 0)
    found: NDArray[np.bool_] = np.minimum(green - red, green - blue) > 20
    return found


def place_in_skull(marked: NDArray[np.bool_], white: NDArray[np.bool_]) -> tuple[float, float]:
    """Middle of what is marked, in shares of the box around the skull: down and to the right."""
    parts, _ = ndimage.label(white)
    skull = np.bincount(parts[parts > 0]).argmax()
    down, right = ndimage.find_objects(parts)[skull - 1]
    y, x = np.argwhere(marked[down, right]).mean(axis=0)
    return y / (down.stop - down.start), x / (right.stop - right.start)
