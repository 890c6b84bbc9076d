"""Does a head look like those that the model was trained on? A score that can be explained.

A network answers whatever it is shown. About twenty plain figures say how a volume looks; how far
they are from those of the training is the score, and the figures that are farthest explain it.
"""

from ml.familiarity.distance import (
    FARTHEST,
    LEAST_VOLUMES,
    Familiarity,
    FamiliarityModel,
    Unusual,
    fit,
)
from ml.familiarity.figures import FIGURES, Description, Figure, describe

__all__ = [
    "FARTHEST",
    "FIGURES",
    "LEAST_VOLUMES",
    "Description",
    "Familiarity",
    "FamiliarityModel",
    "Figure",
    "Unusual",
    "describe",
    "fit",
]
