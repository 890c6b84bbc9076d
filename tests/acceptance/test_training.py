"""``midline train`` as a process: killed and resumed, and shared out by torchrun."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from ml.checkpoint import read_card
from ml.data.manifest import read_manifest
from ml.data.splits import Split
from ml.training.logbook import LOG_NAME, read_log
from ml.volume import Subtype
from tests.support.square_heads import Plan, write_square_heads

SECONDS = 240.0
"""A training may take so long on a busy machine: torch alone takes seconds to load."""
NUM_STEPS, VALIDATE_EVERY = 60, 20
IN_MID_TRAINING = 30
"""Between the state of step 20 and that of step 40."""
MIDLINE_TRAIN = ("-m", "node.cli", "train", "smoke", "--threads", "1")
PLAN: Plan = (
    (Split.TRAIN, Subtype.IPH, "subtypes"),
    (Split.TRAIN, Subtype.IPH, "subtypes"),
    (Split.TRAIN, None, "subtypes"),
    (Split.TRAIN, Subtype.IPH, "voxels"),
    *[(Split.VALIDATION, Subtype.IPH, "subtypes")] * 8,
    (Split.VALIDATION, Subtype.IPH, "nothing"),
    (Split.TEST, Subtype.IPH, "subtypes"),
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3 * SECONDS)]


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Name the same data and settings for every training."""
    folder = tmp_path_factory.mktemp("data")
    write_square_heads(folder / "squares", PLAN)
    changes = {
        "num_steps": NUM_STEPS,
        "validate_every": VALIDATE_EVERY,
        "learning_rate": 1e-2,
        "final_rate": 1e-4,
        "num_watched": 8,
        "name": "squares",
    }
    return (
        *("--data", str(folder / "squares"), "--cache", str(folder / "cache")),
        *("--precision", "float32", "--json"),
        *(word for name, value in changes.items() for word in ("--set", f"{name}={value}")),
    )


@pytest.fixture(scope="module")
def whole(options: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train in one process that nobody disturbs."""
    out = tmp_path_factory.mktemp("whole")
    run(*MIDLINE_TRAIN, *options, "--out", str(out))
    return out


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a Python module to its good end."""
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, check=False, text=True, timeout=SECONDS
    )
    assert done.returncode == 0, done.stderr
    return done


def losses(out: Path) -> dict[int, float]:
    return {line["step"]: line["loss"] for line in read_log(out) if "loss" in line}


def validations(out: Path) -> dict[int, Mapping[str, float]]:
    return {line["step"]: line["validation"] for line in read_log(out) if "validation" in line}


def wait_for_step(step: int, out: Path, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + SECONDS
    while not (out / LOG_NAME).exists() or len(losses(out)) < step:
        assert process.poll() is None, "the training ended before it could be killed"
        assert time.monotonic() < until, "the training never came so far"
        time.sleep(0.01)


def test_a_killed_training_gives_the_losses_of_one_that_was_not(
    whole: Path, options: tuple[str, ...], tmp_path: Path
) -> None:
    words = (*MIDLINE_TRAIN, *options, "--out", str(tmp_path))
    with subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        wait_for_step(IN_MID_TRAINING, tmp_path, process)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert IN_MID_TRAINING <= len(losses(tmp_path)) < 2 * VALIDATE_EVERY
    resumed = run(*words)
    assert f"going on from step {VALIDATE_EVERY}" in resumed.stderr
    expected, got = losses(whole), losses(tmp_path)
    assert list(got) == list(expected) == list(range(1, NUM_STEPS + 1))
    for step, loss in expected.items():
        assert got[step] == pytest.approx(loss, abs=1e-6), f"step {step}"
    assert validations(tmp_path) == validations(whole)


def test_two_processes_give_what_one_gives(
    whole: Path, options: tuple[str, ...], tmp_path: Path
) -> None:
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    run(*torchrun, *MIDLINE_TRAIN, *options, "--out", str(tmp_path))
    alone, shared = losses(whole), losses(tmp_path)
    assert list(shared) == list(alone)
    for step in (1, 2, 3):
        assert shared[step] == pytest.approx(alone[step], abs=1e-5), f"step {step}"
    # sums in another order differ in the last bit, and Adam makes more of it from step to step: as
    # much as it makes of weights that differ by 1e-7
    expected, got = validations(whole)[NUM_STEPS], validations(tmp_path)[NUM_STEPS]
    assert expected["dice_ICH"] > 0.8, "where nothing was learned, nothing is shown"
    for name, value in expected.items():
        assert got[name] == pytest.approx(value, abs=0.005), name


def test_the_card_names_the_data_set_and_what_was_learned_from_it(
    whole: Path, options: tuple[str, ...]
) -> None:
    card = read_card(whole / "squares.json")
    digest = read_manifest(Path(options[1])).digest
    assert card.data_digest == card.recipe["data_digest"] == digest
    assert card.recipe["num_steps"] == NUM_STEPS
    assert "train, voxels of each subtype: 3" in card.data
    assert "train, voxels of any subtype: 1" in card.data
    assert "1 without labels left out of validation and test" in card.data


def test_a_finished_training_says_its_figures_again(whole: Path, options: tuple[str, ...]) -> None:
    before = losses(whole)
    told = json.loads(run(*MIDLINE_TRAIN, *options, "--out", str(whole)).stdout)
    assert told["metrics"] == read_card(whole / "squares.json").metrics
    assert told["weights"] == str(whole / "squares.safetensors")
    assert losses(whole) == before
