"""What the values of a published mask mean, and nothing more."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.errors import UnreadableInputError
from ml.volume import Subtype

OUR_CLASSES: Mapping[int, Subtype] = {int(subtype): subtype for subtype in Subtype}
"""The numbering of `Subtype`."""


def subtype_labels(values: NDArray[Any], classes: Mapping[int, Subtype]) -> NDArray[np.uint8]:
    """Translate a mask with classes.

    Parameters
    ----------
    values
        Stored values; 0 is none.
    classes
        The subtype of each other value.

    Returns
    -------
    NDArray
        Of the same shape: values of `Subtype`.

    Raises
    ------
    UnreadableInputError
        If a value is none of the classes.
    """
    labels = np.zeros(values.shape, np.uint8)
    for value in np.unique(values).tolist():
        if value == 0:
            continue
        if value not in classes:
            known = ", ".join(f"{known} {subtype.name}" for known, subtype in classes.items())
            raise UnreadableInputError(f"the mask has the value {value:g}; known are 0, {known}")
        labels[values == value] = classes[value]
    return labels


def binary_labels(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Translate a mask without classes: 0, and one other value for blood (1 or 255).

    Raises
    ------
    UnreadableInputError
        If there are more values, or one below 0.
    """
    found = np.unique(values)
    others = found[found != 0]
    if len(others) > 1 or (others < 0).any() or not np.isfinite(found).all():
        shown = ", ".join(f"{value:g}" for value in found[:8].tolist())
        raise UnreadableInputError(
            f"a binary mask has 0 and one value above it; this one has {shown}"
        )
    blood: NDArray[np.bool_] = values > 0
    return blood
