"""The experiment on symmetry: does it help when brightness is not enough? Its parts.

The same small network three times, without a transformer, with a plain one and with the symmetric
one, at equal budget and on the same heads, with several seeds, under three conditions. Each
training with its measurement is a part of its own, so that they may be spread over many runs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from ml.models.registry import Choices, num_parameters
from ml.phantom import Difficulty
from ml.preprocess import InputSpec
from ml.reproduction.code import code_digest
from ml.reproduction.comparing import Results, compare_all, draw
from ml.reproduction.heads import GetHeads, data_part, heads_as_before, plain
from ml.reproduction.markdown import to_plain
from ml.reproduction.measuring import (
    CODE_OF_MEASURING,
    code_of_training,
    measure,
    read_results,
    train_into,
    write_results,
)
from ml.reproduction.parts import Before, Json, Made, Part, write_json
from ml.reproduction.pictures import small_png
from ml.training.finishing import draft_segmenter
from ml.training.recipes import Augmentation, PhantomSource, Recipe

_CODE_OF_EFFECTS = (
    "evaluation/cases.py",
    "evaluation/statistics.py",
    "reproduction/comparing.py",
    "reproduction/effects.py",
    "reproduction/markdown.py",
)
_CODE_OF_PICTURE = (*_CODE_OF_EFFECTS, "reproduction/pictures.py", "evaluation/figures.py")


@dataclass(frozen=True)
class Condition:
    """Heads of one kind.

    Attributes
    ----------
    title
        For people.
    difficulty
        How far brightness tells blood from what is none.
    aligned
        Whether the midline lies in the middle.
    """

    title: str
    difficulty: Difficulty
    aligned: bool


CONDITIONS: Mapping[str, Condition] = {
    "hard-aligned": Condition("hard, aligned", Difficulty.HARD, aligned=True),
    "hard-unaligned": Condition("hard, unaligned", Difficulty.HARD, aligned=False),
    "easy-aligned": Condition("easy, aligned", Difficulty.EASY, aligned=True),
}

VARIANTS: Mapping[str, str] = {
    "unet": "U-Net",
    "transformer": "+ transformer",
    "symmetric": "+ symmetric",
}
"""In the order of the ablation: each adds something to the one before it."""


@dataclass(frozen=True)
class Plan:
    """Every setting of the experiment.

    Attributes
    ----------
    input
        What the networks are shown.
    phantoms
        The heads; difficulty and alignment are those of the condition.
    recipe
        The training; network and seed are filled in.
    network
        Registry name of the network that all variants are.
    config
        What its variants share.
    variants
        What each of them has of its own, by the names of `VARIANTS`.
    seeds
        Of the trainings: of weights and batches, never of heads.
    bootstrap_seed
        Of the intervals.
    """

    input: InputSpec
    phantoms: PhantomSource
    recipe: Recipe
    network: str
    config: Choices
    variants: Mapping[str, Choices] = field(
        default_factory=lambda: {
            "unet": {"num_layers": 0},
            "transformer": {"mirroring": "none"},
            "symmetric": {"mirroring": "keys"},
        }
    )
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    bootstrap_seed: int = 0

    def source_of(self, condition: Condition) -> PhantomSource:
        """Heads of a condition; the same seeds in each."""
        return replace(self.phantoms, difficulty=condition.difficulty, aligned=condition.aligned)

    def recipe_of(self, condition: Condition, variant: str, seed: int) -> Recipe:
        """Training of one variant with one seed."""
        return replace(
            self.recipe,
            name=f"{variant}-{seed}",
            network=self.network,
            network_config=self.config_of(variant),
            phantoms=self.source_of(condition),
            seed=seed,
        )

    def config_of(self, variant: str) -> Choices:
        """Return the configuration of the network of a variant."""
        return {
            "in_channels": self.input.num_channels,
            "image_size": self.input.size,
            **self.config,
            **self.variants[variant],
        }


def default_plan() -> Plan:
    """Forty-five trainings that one CPU core does in about two hours.

    A step takes 0.08 to 0.14 seconds of one core (the latter with the other core at work), the
    measurement of a head 0.2 to 0.3. 128 pixels of 1.65 mm keep thin bleeds two pixels wide and
    give 8 x 8 tokens; 1000 steps of 8 slices and 72 heads to measure are then what fits: after 300,
    no variant had learned to find blood. The width is small, so that more steps fit. One slice, as
    in the paper: what lies above and below would tell of a bleed in another way. Slices are turned
    and shifted less than usual, by what alignment leaves over: the usual 4 degrees and 5 mm would
    take away most of what distinguishes an aligned head from one that is not.
    """
    spec = InputSpec(size=128, pixel_mm=1.65, num_slices=1)
    phantoms = PhantomSource(
        num_train=140,
        num_validation=20,
        num_test=72,
        healthy=0.35,
        matrix=192,
        first_seed=4_000_000,
    )
    return Plan(
        input=spec,
        phantoms=phantoms,
        recipe=Recipe(
            name="",
            network="",
            network_config={},
            input=spec,
            phantoms=phantoms,
            augmentation=Augmentation(rotation_deg=1.0, shift_pixels=0.6),
            num_steps=1000,
            batch_size=8,
            learning_rate=2e-3,
            final_rate=1e-4,
            warmup_steps=60,
            average_decay=0.98,
            validate_every=250,
            num_watched=10,
        ),
        network="sym-transnet-lite",
        config={"base_width": 12, "token_width": 96, "num_layers": 3, "num_heads": 4},
    )


def experiment(plan: Plan, get: GetHeads, *, device: torch.device) -> list[Part]:
    """List the parts of the experiment: seeds outermost, so that what is done is comparable.

    Parameters
    ----------
    plan
        What is tried.
    get
        Gives the heads.
    device
        Where networks are trained and measured.
    """
    parts = [
        data_part(f"data/{name}", plan.source_of(condition), plan.input, get)
        for name, condition in CONDITIONS.items()
    ]
    runs = [
        _run(plan, condition, variant, seed, get=get, device=device)
        for seed in plan.seeds
        for condition in CONDITIONS
        for variant in VARIANTS
    ]
    names = tuple(part.name for part in runs)
    settings = {"bootstrap_seed": plan.bootstrap_seed}
    effects = Part("effects", settings, code_digest(_CODE_OF_EFFECTS), _effects(plan), names)
    picture = Part("picture", settings, code_digest(_CODE_OF_PICTURE), _picture(plan), names)
    return [*parts, *runs, effects, picture]


def run_name(condition: str, variant: str, seed: int) -> str:
    """Name of the part of one training with its measurement."""
    return f"run/{condition}/{variant}/{seed}"


def _run(
    plan: Plan, condition: str, variant: str, seed: int, *, get: GetHeads, device: torch.device
) -> Part:
    of = CONDITIONS[condition]
    recipe, data = plan.recipe_of(of, variant, seed), f"data/{condition}"

    def make(folder: Path, before: Before) -> Json:
        heads = heads_as_before(get(plan.source_of(of), plan.input), before[data].result, data)
        model = train_into(folder, recipe, heads, device)
        results = measure(draft_segmenter(model, recipe, device), heads.splits.test, heads)
        write_results(folder / "test.json", results)
        return {"parameters": num_parameters(recipe.network, recipe.network_config)}

    measuring = code_digest((*CODE_OF_MEASURING, "reproduction/measuring.py"))
    code = code_of_training(recipe.network, recipe.network_config) + measuring
    return Part(run_name(condition, variant, seed), plain(recipe), code, make, (data,))


def results_of(plan: Plan, made: Mapping[str, Made]) -> Results:
    """Read the results of every training that is finished.

    Returns
    -------
    Results
        By condition, variant and seed.
    """
    return {
        condition: {
            variant: {
                seed: read_results(made[name].read("test.json"))
                for seed in plan.seeds
                if (name := run_name(condition, variant, seed)) in made
            }
            for variant in VARIANTS
        }
        for condition in CONDITIONS
    }


def _effects(plan: Plan) -> Callable[[Path, Before], Json]:
    def make(folder: Path, before: Before) -> Json:
        found = compare_all(results_of(plan, before), seed=plan.bootstrap_seed)
        write_json(folder / "effects.json", to_plain(found))
        return {"seeds": list(plan.seeds)}

    return make


def _picture(plan: Plan) -> Callable[[Path, Before], Json]:
    def make(folder: Path, before: Before) -> Json:
        titles = {name: condition.title for name, condition in CONDITIONS.items()}
        figure = draw(results_of(plan, before), titles, VARIANTS, seed=plan.bootstrap_seed)
        (folder / "symmetry.png").write_bytes(small_png(figure))
        return {}

    return make
