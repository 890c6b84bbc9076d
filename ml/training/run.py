"""A whole training: patients made or read, the network trained, weights and card written."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ml.checkpoint import ModelCard, card_path, read_card
from ml.inference import Precision, choose_device
from ml.training.datasets import Splits, prepare
from ml.training.distributed import own_device, team_of_torchrun
from ml.training.finishing import finish, weights_path
from ml.training.recipes import Recipe
from ml.training.sources import prepare_dataset
from ml.training.train import fit

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Setting:
    """Where and how a recipe is trained; nothing of it decides what comes out but `precision`.

    Attributes
    ----------
    out
        Folder for state and log and, at the end, for weights and card.
    device, precision
        Where and in which number format the network is trained, as `ml.inference` takes them.
    threads
        Of this process, and processes that make patients.
    cache
        Folder for the patients, aligned; ``out/cache`` if None.
    data
        Folder of a data set instead of the recipe's phantoms; None for these.
    begin_with
        Weights of the same network to begin with instead of random ones; the card names them.
    tensorboard
        Whether ``out/tensorboard`` receives events.
    model_version
        Version that the card will bear.
    """

    out: Path
    device: str
    precision: str = Precision.AUTO
    threads: int = 2
    cache: Path | None = None
    data: Path | None = None
    begin_with: Path | None = None
    tensorboard: bool = False
    model_version: str = "0.1.0"


@dataclass(frozen=True)
class Trained:
    """What came of a training.

    Attributes
    ----------
    weights
        File; its card lies beside it.
    card
        As written.
    """

    weights: Path
    card: ModelCard


def train(recipe: Recipe, setting: Setting) -> Trained | None:
    """Make or read the patients, train the network, and write the model.

    Started by ``torchrun``, the processes share each step out among them.

    Returns
    -------
    Trained or None
        None in the processes of a team that write nothing.

    Raises
    ------
    UsageError
        If `out` holds the state of another recipe, if the data set has nobody to train on, or if
        the device is absent or lacks the precision.
    ModelError
        If the weights to begin with cannot be loaded.
    """
    torch.set_num_threads(setting.threads)
    device, out = torch.device(choose_device(own_device(setting.device))), setting.out
    if setting.begin_with is not None:
        beginning = read_card(card_path(setting.begin_with)).weights_sha256
        recipe = replace(recipe, begin_with_sha256=beginning)
    with team_of_torchrun(device) as team:
        if not team.leads:
            # the first process makes the patients, the others find them in the cache
            team.wait()
        recipe, splits, story = _patients(recipe, setting)
        if team.leads:
            team.wait()
        model = fit(
            recipe,
            splits,
            out,
            device=device,
            begin_with=setting.begin_with,
            precision=Precision(setting.precision),
            team=team,
            tensorboard=setting.tensorboard,
        )
        if not team.leads:
            return None
    card = finish(
        recipe, model, splits, out, device=device, model_version=setting.model_version, data=story
    )
    return Trained(weights_path(recipe, out), card)


def _patients(recipe: Recipe, setting: Setting) -> tuple[Recipe, Splits, str | None]:
    """Make or read the patients; return the recipe that names them, and what a card says."""
    cache = setting.out / "cache" if setting.cache is None else setting.cache
    if setting.data is None:
        made = prepare(recipe.phantoms, recipe.input, cache, num_workers=setting.threads)
        return recipe, made, None
    read = prepare_dataset(setting.data, recipe.input, cache, num_workers=setting.threads)
    for name, count in sorted(read.counts.items()):
        logger.info("%s: %d studies", name, count)
    if read.num_left_out:
        logger.info("%d studies without labels left out", read.num_left_out)
    return replace(recipe, data_digest=read.digest), read.splits, read.story
