"""Patients as sites have them: a seed decides protocol, anatomy and bleeds."""

from dataclasses import dataclass

import numpy as np

from ml.phantom.anatomy import Difficulty
from ml.phantom.lesions import sample_subtypes
from ml.phantom.phantom import Phantom, make_phantom
from ml.phantom.pose import sample_scan
from ml.phantom.template import find_templates, load_template

_STREAM = 77


@dataclass(frozen=True)
class Population:
    """Which patients there are.

    Attributes
    ----------
    healthy
        Share of patients without a bleed.
    difficulty
        How far brightness alone tells blood from what is none.
    matrix
        Rows and columns of a slice.
    template_share
        Share of heads whose anatomy comes from the templates that `find_templates` finds; where it
        finds none, implicit functions draw all of them.
    """

    healthy: float = 0.37
    difficulty: Difficulty = Difficulty.STANDARD
    matrix: int = 256
    template_share: float = 0.0


def make_patient(seed: int, population: Population) -> Phantom:
    """Scan the patient of a seed; the same seed and population give the same patient."""
    rng = np.random.default_rng([seed, _STREAM])
    subtypes = sample_subtypes(rng, healthy=population.healthy)
    scan = sample_scan(rng, matrix=population.matrix)
    folder = find_templates() if rng.uniform() < population.template_share else None
    return make_phantom(
        seed,
        subtypes,
        scan=scan,
        difficulty=population.difficulty,
        template=None if folder is None else load_template(folder),
    )
