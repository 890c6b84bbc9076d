"""Recipes: every setting of a training, one function for each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from config.errors import UsageError
from ml.models.registry import Choices
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
    """

    num_train: int
    num_validation: int
    num_test: int
    healthy: float = 0.37
    matrix: int = 256
    first_seed: int = 0


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
    """

    flip: float = 0.5
    rotation_deg: float = 4.0
    shift_pixels: float = 3.0
    scale: float = 0.05
    offset_hu: float = 2.0
    gain: float = 0.04
    noise_hu: float = 5.0


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
    learning_rate, final_rate, warmup_steps
        The rate rises linearly, then decays exponentially to `final_rate` in the last step.
    weight_decay
        Of Adam.
    class_weights
        Of cross-entropy: background and the subtypes.
    average_decay
        Of the moving average of the weights, which is what is validated and kept.
    validate_every
        Steps between validations; the state is written as often.
    num_watched
        Validation patients that are looked at during training; at the end it is all of them.
    seed
        Of the weights and of every draw.
    begin_with_sha256
        Digest of the weights that it begins with; empty if they are random.
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
    weight_decay: float = 1e-5
    class_weights: tuple[float, ...] = (1.0, 3.0, 5.0, 3.0, 4.0, 5.0)
    average_decay: float = 0.995
    validate_every: int = 250
    num_watched: int = 24
    seed: int = 0
    begin_with_sha256: str = ""


def lite_phantom() -> Recipe:
    """Sym-TransNet lite on synthetic heads: the model that ships, made on two CPU cores."""
    spec = InputSpec(size=208, pixel_mm=1.0)
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
        phantoms=PhantomSource(num_train=480, num_validation=80, num_test=120),
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


RECIPES: Mapping[str, Callable[[], Recipe]] = {
    recipe.__name__: recipe for recipe in (lite_phantom, full_phantom)
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
