"""From a data set to results with a network whose answer is known; interrupted and resumed."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from config.errors import UsageError
from ml.checkpoint import ModelCard, Thresholds
from ml.evaluation.calibration import voxel_reliability
from ml.evaluation.run import Evaluation, StudyWithTruth, evaluate, evaluation_key
from ml.evaluation.voxels import sample_voxels
from ml.inference import Precision, Segmenter
from ml.plane import Alignment
from ml.preprocess import InputSpec
from ml.volume import NUM_CLASSES, Mask, Subtype, Volume
from tests.support.heads import BLOOD_HU, Head, axial_grid

SPEC = InputSpec(size=64, pixel_mm=3.6)
CARD = ModelCard(
    name="test",
    version="1",
    network="sym-transnet-lite",
    network_config={},
    input=SPEC,
    thresholds=Thresholds(0.3, 0.6, {subtype.name: 2.0 for subtype in Subtype}),
    data="none",
    recipe={},
    metrics={},
    code_version="0",
    weights_sha256="11" * 32,
)
GRID = axial_grid(num_slices=36, size=64, pixel_mm=3.6, step_mm=5.0)


class BrightIsBlood(nn.Module):
    """Calls what is as bright as blood, in a patch of 3 x 3 pixels, an intraparenchymal bleed."""

    def __init__(self) -> None:
        super().__init__()
        self.logit = nn.Parameter(torch.tensor(8.0))

    def forward(self, image_NCSS: Tensor) -> Tensor:
        level, width = SPEC.windows[0]
        middle = len(SPEC.windows) * (SPEC.num_slices // 2)
        hu = (image_NCSS[:, middle] * SPEC.deviation + SPEC.mean) * width + (level - width / 2)
        far = nn.functional.max_pool2d((hu - BLOOD_HU).abs()[:, None], 3, 1, 1)[:, 0]
        logits = torch.zeros(len(hu), NUM_CLASSES, *hu.shape[1:])
        logits[:, 0] = self.logit
        logits[:, Subtype.IPH] = torch.where(far < 15, 2 * self.logit, torch.zeros(()))
        return logits


def segmenter(card: ModelCard = CARD) -> Segmenter:
    return Segmenter(BrightIsBlood(), card, device="cpu", precision=Precision.FP32)


def head(bleed_left_mm: float) -> tuple[Volume, Mask]:
    """A head and its true mask; a bleed far outside is none."""
    volume = Head(bleed_left_mm=bleed_left_mm, holder=False).volume(GRID, noise_hu=0)
    labels = np.where(volume.hu == BLOOD_HU, Subtype.IPH, 0).astype(np.uint8)
    return volume, Mask(labels, GRID)


class DataSet:
    """Three studies that count how often they are read: a bleed, none, and no head at all."""

    def __init__(self) -> None:
        self.num_read = 0
        self.studies = [
            StudyWithTruth("bleeding", "p1", lambda: self._read(35.0)),
            StudyWithTruth("healthy", "p2", lambda: self._read(500.0)),
            StudyWithTruth("air", "p3", self._air),
        ]

    def _read(self, bleed_left_mm: float) -> tuple[Volume, Mask]:
        self.num_read += 1
        return head(bleed_left_mm)

    def _air(self) -> tuple[Volume, Mask]:
        self.num_read += 1
        nothing = np.full(GRID.shape, -1000, np.float32)
        return Volume(nothing, GRID), Mask(np.zeros(GRID.shape, np.uint8), GRID)


def evaluated(
    data: DataSet, journal: Path, *, card: ModelCard = CARD, digest: str = "d", voxels: int = 1
) -> Evaluation:
    ticks = iter(range(100))
    return evaluate(
        data.studies,
        segmenter(card),
        journal,
        data_digest=digest,
        num_with_voxels=voxels,
        clock=lambda: float(next(ticks)),
    )


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Evaluation, bytes]:
    journal = tmp_path_factory.mktemp("run") / "new" / "results.jsonl"
    return evaluated(DataSet(), journal), journal.read_bytes()


def test_what_is_known_to_be_found_is_found(first: tuple[Evaluation, bytes]) -> None:
    bleeding, healthy = first[0].results
    assert (bleeding.study_id, healthy.study_id) == ("bleeding", "healthy")
    dice = bleeding.of["IPH"].dice
    assert dice is not None
    # its pixels are coarse, and the network leaves out their rim
    assert dice > 0.5
    # an ellipsoid with half axes of 20, 15 and 20 mm
    assert bleeding.of["ICH"].truth_ml == pytest.approx(4 / 3 * np.pi * 6, rel=0.1)
    assert bleeding.score > 0.9
    assert healthy.score < 0.1
    assert not healthy.any_voxel
    assert bleeding.seconds == 1


def test_what_the_node_would_decline_is_declined(first: tuple[Evaluation, bytes]) -> None:
    assert list(first[0].declined) == ["air"]
    assert first[0].declined["air"]


def test_voxels_are_sampled_of_the_first_studies(first: tuple[Evaluation, bytes]) -> None:
    voxels = first[0].voxels
    assert voxels is not None
    assert voxels.total > 100
    # all of them bleed, the network is sure of each, and it finds as many as in the whole volume
    whole = first[0].results[0].of["IPH"]
    assert voxels.counts[-1] == voxels.total
    assert voxels.observed[-1] == pytest.approx(whole.both_ml / whole.truth_ml, abs=0.03)
    lines = [json.loads(line) for line in first[1].splitlines()]
    assert [line["voxels"] is not None for line in lines] == [True, False, False]


def test_what_is_finished_is_not_even_read_again(
    first: tuple[Evaluation, bytes], tmp_path: Path
) -> None:
    journal, data = tmp_path / "results.jsonl", DataSet()
    journal.write_bytes(first[1])
    assert evaluated(data, journal) == first[0]
    assert data.num_read == 0
    assert journal.read_bytes() == first[1]


def test_other_scores_of_decision_need_no_new_measurement_but_other_volumes_do() -> None:
    key = evaluation_key(segmenter(), "digest")
    decided = replace(CARD.thresholds, lower_score=0.1, upper_score=0.2)
    assert evaluation_key(segmenter(replace(CARD, thresholds=decided)), "digest") == key
    larger = replace(CARD.thresholds, minimum_ml={subtype.name: 3.0 for subtype in Subtype})
    assert evaluation_key(segmenter(replace(CARD, thresholds=larger)), "digest") != key


def test_a_line_that_was_cut_off_is_computed_again(
    first: tuple[Evaluation, bytes], tmp_path: Path
) -> None:
    journal, data = tmp_path / "results.jsonl", DataSet()
    lines = first[1].splitlines(keepends=True)
    journal.write_bytes(lines[0] + lines[1][:40])
    assert evaluated(data, journal) == first[0]
    assert data.num_read == 2
    assert journal.read_bytes() == first[1]


@pytest.mark.parametrize(
    ("card", "digest"),
    [
        (replace(CARD, weights_sha256="22" * 32), "d"),
        (replace(CARD, temperature=2.0), "d"),
        (CARD, "e"),
    ],
    ids=["other weights", "other temperature", "other data"],
)
def test_results_of_another_model_or_other_data_do_not_count(
    card: ModelCard, digest: str, first: tuple[Evaluation, bytes], tmp_path: Path
) -> None:
    journal, data = tmp_path / "results.jsonl", DataSet()
    journal.write_bytes(first[1])
    del data.studies[:2]
    evaluated(data, journal, card=card, digest=digest, voxels=0)
    assert data.num_read == 1
    # and they stay for the day when that model is asked for again
    assert journal.read_bytes().startswith(first[1])


def test_voxels_that_were_not_sampled_before_are_sampled_now(
    first: tuple[Evaluation, bytes], tmp_path: Path
) -> None:
    journal, data = tmp_path / "results.jsonl", DataSet()
    journal.write_bytes(first[1])
    found = evaluated(data, journal, voxels=3)
    assert data.num_read == 1
    assert found.voxels is not None
    assert found.results == first[0].results


def test_a_file_that_is_no_journal_is_left_alone(tmp_path: Path) -> None:
    journal = tmp_path / "results.jsonl"
    journal.write_text('{"mine": 1}\n')
    with pytest.raises(UsageError, match="line 1 is no result"):
        evaluated(DataSet(), journal)
    assert journal.read_text() == '{"mine": 1}\n'


def test_weights_without_a_digest_cannot_be_told_apart() -> None:
    with pytest.raises(ValueError, match="digest of the weights"):
        evaluation_key(segmenter(replace(CARD, weights_sha256="")), "d")


def test_each_study_moves_the_bar(first: tuple[Evaluation, bytes], tmp_path: Path) -> None:
    journal = tmp_path / "results.jsonl"
    journal.write_bytes(first[1])
    moved: list[int] = []
    evaluate(
        DataSet().studies,
        segmenter(),
        journal,
        data_digest="d",
        num_with_voxels=1,
        done=lambda: moved.append(1),
    )
    assert len(moved) == 3


def test_only_doubtful_or_bleeding_voxels_are_sampled_and_not_too_many() -> None:
    volume, truth = head(35.0)
    alignment = Alignment.identity(GRID)
    whole = sample_voxels(segmenter(), volume, truth, alignment, seed=0, most_voxels=10**6)
    said = whole.logits.argmax(axis=1) == Subtype.IPH
    assert (said | (whole.labels == Subtype.IPH)).all()
    part = sample_voxels(segmenter(), volume, truth, alignment, seed=0, most_voxels=50)
    again = sample_voxels(segmenter(), volume, truth, alignment, seed=0, most_voxels=50)
    other = sample_voxels(segmenter(), volume, truth, alignment, seed=1, most_voxels=50)
    assert part.labels.shape == (50,)
    np.testing.assert_array_equal(part.logits, again.logits)
    assert (part.logits != other.logits).any()
    # all voxels of the network have one of two answers: colder is surer
    cold, warm = (voxel_reliability(whole, t).summed[-1] for t in (0.5, 1.0))
    assert cold > warm
    healthy = sample_voxels(segmenter(), *head(500.0), alignment, seed=0)
    assert healthy.logits.shape == (0, NUM_CLASSES)


def test_a_network_that_is_less_sure_has_more_doubtful_voxels() -> None:
    volume, truth = head(35.0)
    unsure = segmenter(replace(CARD, temperature=3.0))
    sample = sample_voxels(
        unsure, volume, truth, Alignment.identity(GRID), seed=0, most_voxels=10**6
    )
    # at that temperature it gives every voxel a quarter of blood
    assert sample.labels.size == GRID.shape[0] * SPEC.size**2
