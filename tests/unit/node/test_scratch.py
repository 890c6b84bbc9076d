"""What the segmenting step leaves comes back whole."""

import numpy as np
import pytest

from ml.familiarity import Familiarity
from ml.inference import Prediction
from ml.plane import Alignment
from ml.volume import Subtype
from node.scratch import dump, load
from tests.support.result_inputs import FAMILIAR, UNFAMILIAR, make_grid, make_mask

GRID = make_grid()


@pytest.mark.parametrize("familiarity", [None, FAMILIAR, UNFAMILIAR])
def test_a_prediction_comes_back_as_it_was(familiarity: Familiarity | None) -> None:
    told = Prediction(
        mask=make_mask(GRID, [Subtype.SDH]),
        certainty_percent={Subtype.SDH: 91.5},
        case_score=0.75,
        alignment=Alignment(3.5, np.arange(12.0), np.arange(36.0).reshape(12, 3)),
        familiarity=familiarity,
    )
    held = load(dump(told), GRID)
    np.testing.assert_array_equal(held.mask.labels, told.mask.labels)
    assert held.certainty_percent[Subtype.SDH] == 91.5
    assert held.case_score == 0.75
    assert held.alignment.rotation_deg == 3.5
    np.testing.assert_array_equal(held.alignment.shift_mm, told.alignment.shift_mm)
    np.testing.assert_array_equal(held.alignment.centre_mm, told.alignment.centre_mm)
    assert held.familiarity == familiarity


def test_a_prediction_for_another_grid_is_refused() -> None:
    told = Prediction(make_mask(GRID, []), {}, 0.0, Alignment.identity(GRID))
    with pytest.raises(ValueError, match="labels have shape"):
        load(dump(told), make_grid(size=(20, 20)))
