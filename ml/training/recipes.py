"""Recipes: every setting of a training, one function for each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from config.errors import UsageError
from ml.models.registry import Choices
from ml.phantom import Difficulty
from ml.preprocess import InputSpec


@dataclass(frozen=True)
class PhantomSource:
    """Which synthetic patients are made; a patient is a seed, and belongs to one split.

    Attributes
    ----------
    num_train, num_validation, num_test
        Patients in each split.
    healthy
        Share of patients without a bleed.
    matrix
        Rows and columns of a synthetic slice.
    first_seed
        Seed of the first patient; the others follow.
    difficulty
        How far brightness alone tells blood from what is none; a `ml.phantom.Difficulty`.
    template_share
        Share of heads whose anatomy is a bent template, where `ml.phantom.find_templates` finds
        them; the others, and all where there are none, are drawn by implicit functions.
    aligned
        Whether the midline is brought to the middle, as in the node; False keeps the head as it
        lies, to see what alignment is worth.
    """

    num_train: int
    num_validation: int
    num_test: int
    healthy: float = 0.37
    matrix: int = 256
    first_seed: int = 0
    difficulty: Difficulty = Difficulty.STANDARD
    template_share: float = 0.0
    aligned: bool = True


@dataclass(frozen=True)
class Augmentation:
    """How far a slice is varied each time it is shown.

    Attributes
    ----------
    flip
        Probability of a flip from left to right (the paper's augmentation).
    rotation_deg, shift_pixels, scale
        Standard deviations of a rotation, of a shift and of the relative size: what alignment
        leaves over.
    offset_hu, gain
        Standard deviations of brightness and of relative contrast.
    noise_hu
        Largest standard deviation of added noise.
    blur_pixels
        Largest standard deviation of a blur, in half of the slices.
    """

    flip: float = 0.5
    rotation_deg: float = 4.0
    shift_pixels: float = 3.0
    scale: float = 0.05
    offset_hu: float = 2.0
    gain: float = 0.04
    noise_hu: float = 5.0
    blur_pixels: float = 0.0


@dataclass(frozen=True)
class Consistency:
    """How much is learned from patients without labels; see `ml.training.teacher`.

    Attributes
    ----------
    weight
        Of the consistency loss, once it has risen.
    ramp_up_steps
        Steps over which it rises.
    batch_size
        Slices without labels in a step, beside those with labels.
    num_labelled
        Of the patients for training, so many keep their labels, and the others serve as if nobody
        had labelled them; 0 for all.
    """

    weight: float = 10.0
    ramp_up_steps: int = 1000
    batch_size: int = 4
    num_labelled: int = 0


@dataclass(frozen=True)
class Recipe:
    """Every setting of a training.

    Attributes
    ----------
    name
        Of the recipe, and of the model that comes of it.
    network, network_config
        As `ml.models.registry.build` takes them.
    input
        What the network is shown.
    phantoms
        On whom it is trained.
    augmentation
        How slices are varied.
    num_steps, batch_size
        Length of the training, and slices in a step.
    lesion_share
        Share of slices that are drawn to show a bleed, each subtype equally often.
    learning_rate, final_rate, warmup_steps, decay
        The rate rises linearly, then decays to `final_rate` in the last step: exponentially, as in
        the paper, or as half a cosine.
    weight_decay
        Of Adam.
    class_weights
        Of cross-entropy: background and the subtypes.
    average_decay
        Of the moving average of the weights, which is what is validated and kept.
    validate_every
        Steps between validations.
    patience
        Validations without a better one after which training ends early; 0 for never.
    num_watched
        Validation patients that are looked at during training; at the end it is all of them.
    consistency
        What is learned from patients without labels; None for nothing.
    seed
        Of the weights and of every draw.
    begin_with_sha256
        Digest of the weights that it begins with; empty if they are random.
    data_digest
        Of the data set that takes the place of `phantoms`; empty if none does.
    """

    name: str
    network: str
    network_config: Choices
    input: InputSpec
    phantoms: PhantomSource
    augmentation: Augmentation = field(default_factory=Augmentation)
    num_steps: int = 5000
    batch_size: int = 8
    lesion_share: float = 0.6
    learning_rate: float = 2e-3
    final_rate: float = 5e-5
    warmup_steps: int = 50
    decay: Literal["exponential", "cosine"] = "exponential"
    weight_decay: float = 1e-5
    class_weights: tuple[float, ...] = (1.0, 3.0, 5.0, 3.0, 4.0, 5.0)
    average_decay: float = 0.995
    validate_every: int = 250
    patience: int = 0
    num_watched: int = 24
    consistency: Consistency | None = None
    seed: int = 0
    begin_with_sha256: str = ""
    data_digest: str = ""


def lite_phantom() -> Recipe:
    """Sym-TransNet lite on synthetic heads: the model that ships, made on two CPU cores."""
    spec = InputSpec(size=224, pixel_mm=0.9)
    return Recipe(
        name="sym-transnet-lite",
        network="sym-transnet-lite",
        network_config={
            "in_channels": spec.num_channels,
            "image_size": spec.size,
            "base_width": 24,
            "token_width": 192,
            "num_layers": 4,
        },
        input=spec,
        phantoms=PhantomSource(
            num_train=1000,
            num_validation=200,
            num_test=20,
            healthy=0.4,
            first_seed=1_000_000,
            template_share=0.6,
        ),
        augmentation=Augmentation(blur_pixels=1.3),
        num_steps=8000,
        lesion_share=0.55,
        decay="cosine",
        class_weights=(1.0, 1.5, 2.0, 1.5, 2.5, 3.0),
        average_decay=0.998,
        validate_every=1000,
        num_watched=30,
    )


def full_phantom() -> Recipe:
    """Sym-TransNet as published, on synthetic heads: 512x512, brain window, one slice; for a GPU.

    Loss, optimiser, learning rate and weight decay are the paper's; its 100 epochs of 857 patients
    are kept as steps of 64 slices.
    """
    spec = InputSpec(size=512, pixel_mm=0.45, windows=((50.0, 100.0),), num_slices=1)
    return Recipe(
        name="sym-transnet",
        network="sym-transnet",
        network_config={"in_channels": spec.num_channels, "image_size": spec.size},
        input=spec,
        phantoms=PhantomSource(num_train=857, num_validation=100, num_test=400, matrix=512),
        num_steps=40_000,
        batch_size=64,
        learning_rate=1e-5,
        final_rate=1e-7,
        weight_decay=1e-3,
        class_weights=(1.0,) * 6,
        validate_every=1000,
    )


def lite_mean_teacher() -> Recipe:
    """Sym-TransNet lite when one patient in ten is labelled: the paper's outlook, a mean teacher.

    With ``--data`` the unlabelled studies of the data set are learned from too.
    """
    recipe = lite_phantom()
    return replace(
        recipe,
        name="sym-transnet-lite-mean-teacher",
        consistency=Consistency(num_labelled=recipe.phantoms.num_train // 10),
    )


def smoke() -> Recipe:
    """Show in a minute on one core that training works: eight tiny heads, a tiny network."""
    spec = InputSpec(size=64, pixel_mm=3.2, windows=((50.0, 100.0),), num_slices=1)
    return Recipe(
        name="smoke",
        network="sym-transnet-lite",
        network_config={
            "in_channels": spec.num_channels,
            "image_size": spec.size,
            "base_width": 8,
            "token_width": 16,
            "num_layers": 1,
            "num_heads": 2,
        },
        input=spec,
        phantoms=PhantomSource(4, 2, 2, matrix=64, healthy=0.25, first_seed=9_000_000),
        num_steps=40,
        batch_size=4,
        warmup_steps=5,
        average_decay=0.9,
        validate_every=8,
        num_watched=2,
    )


RECIPES: Mapping[str, Callable[[], Recipe]] = {
    recipe.__name__: recipe for recipe in (lite_phantom, full_phantom, lite_mean_teacher, smoke)
}


def recipe_named(name: str) -> Recipe:
    """Return the recipe of a function's name.

    Raises
    ------
    UsageError
        If there is none.
    """
    if name not in RECIPES:
        raise UsageError(f"there is no recipe {name!r}; known: {', '.join(RECIPES)}")
    return RECIPES[name]()
