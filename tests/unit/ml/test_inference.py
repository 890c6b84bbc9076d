"""From a volume to a prediction, with networks whose answer is known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from config.errors import ModelError, ResourceError, UsageError
from ml.align import align
from ml.checkpoint import ModelCard, Thresholds, save
from ml.familiarity import describe, fit
from ml.inference import (
    AnalysisCancelledError,
    Precision,
    Prediction,
    Segmenter,
    choose_device,
    choose_precision,
)
from ml.models import registry
from ml.postprocess import lesions
from ml.preprocess import AlignedVolume, InputSpec, resample
from ml.volume import NUM_CLASSES, Subtype, Volume
from tests.support.heads import BLOOD_HU, Head, Storage, axial_grid

SPEC = InputSpec(size=128, pixel_mm=1.8)
CARD = ModelCard(
    name="test",
    version="1",
    network="sym-transnet-lite",
    network_config={"in_channels": SPEC.num_channels},
    input=SPEC,
    thresholds=Thresholds(0.3, 0.6, {subtype.name: 0.1 for subtype in Subtype}),
    data="none",
    recipe={},
    metrics={},
    code_version="0",
)
GRID = axial_grid(num_slices=8, step_mm=12.0)
HEAD = Head(turned_deg=10, left_mm=6)
SUBTYPE = Subtype.IPH


class BrightIsBlood(nn.Module):
    """Calls what is as bright as blood, in a patch of 3 x 3 pixels, an intraparenchymal bleed."""

    def __init__(self, logit: float = 6.0) -> None:
        super().__init__()
        # a parameter, as every network has one
        self.logit = nn.Parameter(torch.tensor(logit))

    def forward(self, image_NCSS: Tensor) -> Tensor:
        level, width = SPEC.windows[0]
        middle = len(SPEC.windows) * (SPEC.num_slices // 2)
        windowed = image_NCSS[:, middle] * SPEC.deviation + SPEC.mean
        hu = windowed * width + (level - width / 2)
        far = nn.functional.max_pool2d((hu - BLOOD_HU).abs()[:, None], 3, 1, 1)[:, 0]
        logits = torch.zeros(len(hu), NUM_CLASSES, *hu.shape[1:], device=hu.device)
        logits[:, 0] = self.logit
        logits[:, SUBTYPE] = torch.where(far < 15, 2 * self.logit, torch.zeros(()))
        return logits


class Failing(nn.Module):
    """Fails as torch does."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def forward(self, _: Tensor) -> Tensor:
        raise self.error


def segmenter(model: nn.Module, *, batch_slices: int = 8) -> Segmenter:
    return Segmenter(model, CARD, device="cpu", precision=Precision.FP32, batch_slices=batch_slices)


def scan(*, noise_hu: float = 1.0) -> Volume:
    return HEAD.volume(GRID, noise_hu=noise_hu)


@pytest.fixture(scope="module")
def prediction() -> Prediction:
    return segmenter(BrightIsBlood()).segment(scan())


def test_blood_is_found_where_it_is(prediction: Prediction) -> None:
    truth = np.abs(scan(noise_hu=0).hu - BLOOD_HU) < 1
    found = prediction.mask.labels == SUBTYPE
    dice = 2 * (found & truth).sum() / (found.sum() + truth.sum())
    assert dice > 0.8
    largest = lesions(prediction.mask, SUBTYPE)[0]
    centre = GRID.positions_mm(
        (np.argwhere(largest.inside) + [part.start for part in largest.box]).astype(float)
    ).mean(axis=0)
    true_centre = GRID.positions_mm(np.argwhere(truth).astype(float)).mean(axis=0)
    assert np.linalg.norm(centre - true_centre) < 1.5


def test_the_mask_lies_on_the_grid_of_the_source(prediction: Prediction) -> None:
    assert prediction.mask.labels.shape == GRID.shape
    assert prediction.alignment.rotation_deg == pytest.approx(10, abs=1)


def test_certainty_is_the_mean_probability_of_the_subtype(prediction: Prediction) -> None:
    assert set(prediction.certainty_percent) == {SUBTYPE}
    logits = torch.tensor([6.0, 12, 0, 0, 0, 0])
    inside = 100 * float(logits.softmax(0)[1])
    # at the border the probabilities of two pixels mix
    assert 70 < prediction.certainty_percent[SUBTYPE] <= inside


def test_the_score_is_high_with_a_bleed_and_low_without() -> None:
    healthy = replace(HEAD, bleed_left_mm=500.0)
    with_bleed = segmenter(BrightIsBlood()).segment(scan())
    without = segmenter(BrightIsBlood()).segment(healthy.volume(GRID, noise_hu=1.0))
    assert with_bleed.case_score > 0.95
    assert without.case_score < 0.1
    assert not without.mask.labels.any()
    assert without.certainty_percent == {}


@pytest.mark.parametrize("way", [Storage(slices_reversed=True), Storage(True, True, False, True)])
def test_the_same_voxels_are_found_however_they_are_stored(
    way: Storage, prediction: Prediction
) -> None:
    stored = segmenter(BrightIsBlood()).segment(way.volume(scan()))
    there = way.array(prediction.mask.labels)
    assert (stored.mask.labels != there).sum() < 0.02 * (there > 0).sum()
    assert stored.case_score == pytest.approx(prediction.case_score, abs=0.01)


@pytest.mark.parametrize("batch_slices", [1, 3, 100])
def test_the_size_of_a_batch_changes_nothing(batch_slices: int, prediction: Prediction) -> None:
    other = segmenter(BrightIsBlood(), batch_slices=batch_slices).segment(scan())
    np.testing.assert_array_equal(other.mask.labels, prediction.mask.labels)
    assert other.case_score == pytest.approx(prediction.case_score)


@pytest.mark.parametrize("ahead", [1, 2, 100])
def test_computing_ahead_as_for_a_gpu_changes_nothing(ahead: int, prediction: Prediction) -> None:
    other = segmenter(BrightIsBlood(), batch_slices=3)
    other._batches_ahead = ahead
    found = other.segment(scan())
    np.testing.assert_array_equal(found.mask.labels, prediction.mask.labels)
    assert found.case_score == pytest.approx(prediction.case_score)
    order = [index for index, _ in other.logits(aligned())]
    assert order == list(range(len(aligned().hu)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_finds_the_same(prediction: Prediction) -> None:
    there = Segmenter(
        BrightIsBlood(), CARD, device="cuda", precision=Precision.FP32, batch_slices=3
    )
    np.testing.assert_array_equal(there.segment(scan()).mask.labels, prediction.mask.labels)


def test_bfloat16_finds_nearly_the_same(prediction: Prediction) -> None:
    half = Segmenter(BrightIsBlood(), CARD, device="cpu", precision=Precision.BF16)
    other = half.segment(scan())
    found, expected = other.mask.labels > 0, prediction.mask.labels > 0
    assert 2 * (found & expected).sum() / (found.sum() + expected.sum()) > 0.98


def aligned() -> AlignedVolume:
    volume = scan()
    return resample(volume, align(volume), SPEC)


def test_an_aligned_volume_gives_the_same_prediction(prediction: Prediction) -> None:
    other = segmenter(BrightIsBlood()).segment_aligned(aligned())
    np.testing.assert_array_equal(other.mask.labels, prediction.mask.labels)
    assert other.case_score == prediction.case_score
    assert other.certainty_percent == prediction.certainty_percent


def test_a_volume_of_another_specification_is_refused() -> None:
    other = replace(aligned(), spec=replace(SPEC, num_slices=1))
    with pytest.raises(ValueError, match="another specification"):
        segmenter(BrightIsBlood()).segment_aligned(other)


def test_logits_are_those_of_the_network_in_the_order_of_the_slices() -> None:
    card = replace(CARD, temperature=3.0)
    told = list(
        Segmenter(
            BrightIsBlood(), card, device="cpu", precision=Precision.FP32, batch_slices=3
        ).logits(aligned())
    )
    assert [index for index, _ in told] == list(range(8))
    logits_ZCSS = np.stack([logits for _, logits in told])
    assert logits_ZCSS.shape == (8, NUM_CLASSES, SPEC.size, SPEC.size)
    # whatever the temperature
    assert (logits_ZCSS[:, 0] == 6).all()
    assert set(np.unique(logits_ZCSS[:, SUBTYPE])) == {0, 12}


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_a_temperature_changes_how_sure_it_is_and_not_what_it_sees(
    temperature: float, prediction: Prediction
) -> None:
    card = replace(CARD, temperature=temperature)
    warm = Segmenter(BrightIsBlood(), card, device="cpu", precision=Precision.FP32)
    other = warm.segment(scan())
    # only at borders, where the probabilities of pixels mix, may a class change
    assert (other.mask.labels != prediction.mask.labels).mean() < 1e-3
    logits = torch.tensor([6.0, 12, 0, 0, 0, 0])
    inside = 100 * float((logits / temperature).softmax(0)[1])
    assert 0.75 * inside < other.certainty_percent[SUBTYPE] <= inside
    assert (other.case_score > prediction.case_score) == (temperature < 1)


def test_a_volume_is_compared_with_those_of_the_training(prediction: Prediction) -> None:
    assert prediction.familiarity is None
    head, rng = aligned(), np.random.default_rng(0)

    def noisy_by(noise_hu: float) -> AlignedVolume:
        noise = rng.normal(0, noise_hu, head.hu.shape).astype(np.float32)
        return replace(head, hu=head.hu + noise)

    known = [describe(noisy_by(0.5 + seed / 24)) for seed in range(24)]
    card = replace(CARD, familiarity=fit(known))
    judging = Segmenter(BrightIsBlood(), card, device="cpu", precision=Precision.FP32)
    usual, noisy = judging.segment(scan()), judging.segment_aligned(noisy_by(20.0))
    assert usual.familiarity is not None
    assert noisy.familiarity is not None
    assert usual.familiarity.is_familiar
    assert not noisy.familiarity.is_familiar
    assert "noise_hu" in {each.name for each in noisy.familiarity.unusual}


def test_cancelling_stops_before_the_next_batch() -> None:
    asked = 0

    def cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked > 2

    with pytest.raises(AnalysisCancelledError, match="after 4 of 8 slices"):
        segmenter(BrightIsBlood(), batch_slices=2).segment(scan(), cancelled=cancelled)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate"
        ),
        MemoryError(),
    ],
)
def test_a_full_memory_is_an_error_that_may_pass(error: Exception) -> None:
    with pytest.raises(ResourceError, match="memory") as raised:
        segmenter(Failing(error)).segment(scan())
    assert raised.value.retryable


def test_another_fault_of_the_network_is_not_hidden() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        segmenter(Failing(RuntimeError("shapes cannot be multiplied"))).segment(scan())


def test_a_saved_network_is_loaded_and_runs(tmp_path: Path) -> None:
    spec = InputSpec(size=64, pixel_mm=3.6)
    config = {"in_channels": spec.num_channels, "image_size": spec.size, "base_width": 8}
    card = replace(CARD, input=spec, network_config=config)
    torch.manual_seed(0)
    model = registry.build(card.network, card.network_config)
    save(tmp_path / "tiny.safetensors", model, card)
    loaded = Segmenter.load(
        tmp_path / "tiny.safetensors", device="cpu", precision=Precision.FP32, threads=1
    )
    direct = Segmenter(model, card, device="cpu", precision=Precision.FP32)
    volume = scan()
    one, other = loaded.segment(volume), direct.segment(volume)
    assert loaded.card.input == spec
    assert (loaded.device, loaded.precision) == ("cpu", Precision.FP32)
    np.testing.assert_array_equal(one.mask.labels, other.mask.labels)
    assert one.case_score == other.case_score
    present = {Subtype(label) for label in np.unique(one.mask.labels) if label}
    assert set(one.certainty_percent) == present
    assert all(0 < percent <= 100 for percent in one.certainty_percent.values())


def test_missing_weights_are_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        Segmenter.load(tmp_path / "none.safetensors", device="cpu")


def test_without_a_gpu_auto_is_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert choose_device("auto") == "cpu"
    assert choose_device("cpu") == "cpu"
    with pytest.raises(UsageError, match="'cuda', but torch finds 0"):
        choose_device("cuda")


def test_the_gpu_that_is_asked_for_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("auto") == "cuda:0"
    assert choose_device("cuda") == "cuda:0"
    assert choose_device("cuda:1") == "cuda:1"
    with pytest.raises(UsageError, match="finds 2"):
        choose_device("cuda:2")


@pytest.mark.parametrize("setting", ["gpu", "cuda:", "cuda:x", "cuda:-1", ""])
def test_a_device_that_is_none_is_refused(setting: str) -> None:
    with pytest.raises(UsageError, match="must be auto, cpu, cuda"):
        choose_device(setting)


def test_auto_is_never_the_answer() -> None:
    assert choose_precision(Precision.AUTO, "cpu") in {Precision.BF16, Precision.FP32}
    assert choose_precision(Precision.FP32, "cpu") is Precision.FP32
    assert choose_precision(Precision.BF16, "cpu") is Precision.BF16


def test_float16_needs_a_gpu() -> None:
    with pytest.raises(UsageError, match="needs a CUDA device"):
        choose_precision(Precision.FP16, "cpu")


@pytest.mark.parametrize(
    ("capability", "auto"), [((9, 0), Precision.BF16), ((7, 5), Precision.FP32)]
)
def test_a_gpu_computes_in_what_its_generation_has(
    capability: tuple[int, int], auto: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert choose_precision(Precision.AUTO, "cuda:0") is auto
    assert choose_precision(Precision.FP16, "cuda:0") is Precision.FP16
    if auto is Precision.FP32:
        with pytest.raises(UsageError, match="does not have"):
            choose_precision(Precision.BF16, "cuda:0")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_a_gpu_finds_what_the_cpu_finds(prediction: Prediction) -> None:
    other = Segmenter(BrightIsBlood(), CARD, device="cuda").segment(scan())
    found, expected = other.mask.labels > 0, prediction.mask.labels > 0
    assert 2 * (found & expected).sum() / (found.sum() + expected.sum()) > 0.98
