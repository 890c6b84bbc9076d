"""Values of a mask mean what was published, or are refused."""

import numpy as np
import pytest

from config.errors import UnreadableInputError
from ml.data.masks import OUR_CLASSES, binary_labels, subtype_labels
from ml.volume import Subtype


def test_classes_are_translated_and_others_refused() -> None:
    classes = {1: Subtype.EDH, 2: Subtype.IPH}
    labels = subtype_labels(np.array([0, 1, 2, 1]), classes)
    assert labels.tolist() == [0, Subtype.EDH, Subtype.IPH, Subtype.EDH]
    with pytest.raises(UnreadableInputError, match=r"value 7; known are 0, 1 EDH, 2 IPH"):
        subtype_labels(np.array([0, 7]), classes)


@pytest.mark.parametrize("value", [0.5, -1.0, np.nan, 6.0])
def test_what_is_no_class_is_never_rounded_to_one(value: float) -> None:
    with pytest.raises(UnreadableInputError):
        subtype_labels(np.array([0.0, value]), OUR_CLASSES)


@pytest.mark.parametrize("value", [1, 255])
def test_a_binary_mask_has_one_value_for_blood(value: int) -> None:
    assert binary_labels(np.array([0, value, 0])).tolist() == [False, True, False]
    assert not binary_labels(np.zeros(3)).any()


@pytest.mark.parametrize("values", [[0, 1, 2], [0, -1], [0, np.nan], [0, np.inf]])
def test_a_binary_mask_has_no_other_value(values: list[float]) -> None:
    with pytest.raises(UnreadableInputError, match="one value above it"):
        binary_labels(np.array(values))
