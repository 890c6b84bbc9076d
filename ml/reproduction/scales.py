"""How large the reproduction is: one on two CPU cores, one as published; the code is the same."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from config.errors import UsageError
from ml.models.registry import Choices
from ml.preprocess import InputSpec
from ml.training.recipes import PhantomSource, Recipe

COMPARED: tuple[str, ...] = ("unet", "du-unet", "se-unet", "da-net", "hr-net", "sym-transnet")
"""Rows of Table 1, in the paper's order, by their names in `ml.models.registry`."""
ABLATION: tuple[str, ...] = ("unet", "unet-transformer", "sym-transnet")
"""Rows of the ablation: nothing, a plain transformer, the symmetric one."""
NETWORKS: tuple[str, ...] = (*COMPARED[:-1], "unet-transformer", "sym-transnet")
"""All that are trained."""
REFERENCE = "sym-transnet"
"""What the others are compared with."""

TITLES: Mapping[str, str] = {
    "unet": "U-Net",
    "du-unet": "DU-Net",
    "se-unet": "SEU-Net",
    "da-net": "DA-Net",
    "hr-net": "HR-Net",
    "unet-transformer": "U-Net + transformer",
    "sym-transnet": "Sym-TransNet",
}


@dataclass(frozen=True)
class Scale:
    """Everything that decides what a reproduction gives.

    Attributes
    ----------
    name
        ``cpu`` or ``paper``.
    input
        What every network is shown.
    phantoms
        On whom all of them are trained, validated and tested.
    recipe
        The training, the same for all; its network and its configuration are filled in.
    configs
        For each network the fields of its configuration.
    num_pictures
        Patients in Figures 6 and 7.
    seed
        Of every bootstrap.
    """

    name: str
    input: InputSpec
    phantoms: PhantomSource
    recipe: Recipe
    configs: Mapping[str, Choices] = field(default_factory=dict)
    num_pictures: int = 4
    seed: int = 0

    def recipe_for(self, network: str) -> Recipe:
        """Fill one network into the recipe."""
        return replace(
            self.recipe,
            name=network,
            network=network,
            network_config={"in_channels": self.input.num_channels, **self.configs[network]},
        )


def cpu() -> Scale:
    """Small enough for two cores and half an hour: narrow networks, 128 pixels, few steps.

    A step of all seven networks together takes 1.5 seconds of one core, a head 1 to 2 seconds; so
    900 steps and 360 heads are what fits.

    Window, slice and loss are the paper's. Learning rate and class weights are ours: with so few
    steps, the paper's rate learns nothing, and without weights IVH and SAH are never predicted.
    """
    spec = InputSpec(size=128, pixel_mm=1.65, windows=((50.0, 100.0),), num_slices=1)
    phantoms = PhantomSource(
        num_train=200,
        num_validation=40,
        num_test=120,
        healthy=0.4,
        matrix=192,
        first_seed=3_000_000,
    )
    sized: Choices = {"image_size": spec.size}
    return Scale(
        name="cpu",
        input=spec,
        phantoms=phantoms,
        recipe=Recipe(
            name="",
            network="",
            network_config={},
            input=spec,
            phantoms=phantoms,
            num_steps=900,
            batch_size=8,
            learning_rate=2e-3,
            final_rate=1e-4,
            average_decay=0.98,
            validate_every=300,
            num_watched=16,
        ),
        configs={
            "unet": {"base_width": 12},
            "du-unet": {"base_width": 12},
            "se-unet": {"base_width": 12},
            "da-net": {"base_width": 12},
            "hr-net": {"base_width": 8},
            "unet-transformer": {"base_width": 12, "num_layers": 4, "num_heads": 4, **sized},
            "sym-transnet": {"base_width": 12, "num_layers": 4, "num_heads": 4, **sized},
        },
    )


def paper() -> Scale:
    """As published: 512 pixels, full width, its schedule, 857, 100 and 400 patients; for GPUs.

    Its 100 epochs of 857 patients are kept as steps of 64 slices. Synthetic heads stand in for the
    patients, half of them without a bleed in every split, not in the test alone.
    """
    spec = InputSpec(size=512, pixel_mm=0.45, windows=((50.0, 100.0),), num_slices=1)
    phantoms = PhantomSource(
        num_train=857,
        num_validation=100,
        num_test=400,
        healthy=0.5,
        matrix=512,
        first_seed=3_000_000,
    )
    sized: Choices = {"image_size": spec.size}
    return Scale(
        name="paper",
        input=spec,
        phantoms=phantoms,
        recipe=Recipe(
            name="",
            network="",
            network_config={},
            input=spec,
            phantoms=phantoms,
            num_steps=40_000,
            batch_size=64,
            learning_rate=1e-5,
            final_rate=1e-7,
            weight_decay=1e-3,
            class_weights=(1.0,) * 6,
            validate_every=1000,
            num_watched=100,
        ),
        configs={
            "unet": {},
            "du-unet": {},
            "se-unet": {},
            "da-net": {},
            "hr-net": {},
            "unet-transformer": sized,
            "sym-transnet": sized,
        },
    )


def scale_named(name: str) -> Scale:
    """Return the scale of a name.

    Raises
    ------
    UsageError
        If there is none.
    """
    scales = {"cpu": cpu, "paper": paper}
    if name not in scales:
        raise UsageError(f"there is no scale {name!r}; known: {', '.join(scales)}")
    return scales[name]()
