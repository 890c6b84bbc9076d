"""Agreement of volumes, by hand."""

import numpy as np
import pytest
from scipy import stats

from ml.evaluation.agreement import agreement, agreements, concordance, volumes_ml
from ml.evaluation.cases import Overlap

from .conftest import make_result

TRUE, SAID = np.array([10.0, 20.0, 30.0, 40.0]), np.array([12.0, 19.0, 33.0, 44.0])
PATIENTS = list("abcd")


def test_bias_and_limits_by_bland_and_altman() -> None:
    found = agreement("SDH", TRUE, SAID, PATIENTS, seed=0)
    spread = np.std([2, -1, 3, 4], ddof=1)
    reach = stats.t.ppf(0.975, 3)
    assert found.bias_ml.estimate == pytest.approx(2)
    assert found.bias_ml.high == pytest.approx(2 + reach * spread / 2)
    assert found.upper_limit_ml.estimate == pytest.approx(2 + 1.96 * spread)
    half = reach * spread * np.sqrt(1 / 4 + 1.96**2 / 6)
    assert found.lower_limit_ml.low == pytest.approx(2 - 1.96 * spread - half)
    assert found.median_error_ml == pytest.approx(2.5)


def test_concordance_is_one_for_equal_volumes_and_less_for_shifted_ones() -> None:
    once = np.ones((1, 4))
    assert concordance(TRUE, TRUE)(once)[0] == pytest.approx(1)
    # correlation 1, variances 125, means 10 apart
    assert concordance(TRUE, TRUE + 10)(once)[0] == pytest.approx(250 / (250 + 100))
    assert np.isnan(concordance(np.ones(4), np.ones(4))(once)[0])


def test_concordance_has_an_interval_that_holds_it() -> None:
    held = agreement("SDH", TRUE, SAID, PATIENTS, seed=0).concordance
    assert held is not None
    assert held.low <= held.estimate <= held.high <= 1


def test_studies_that_have_none_and_claim_none_are_no_merit() -> None:
    results = [
        make_result(0, 0.9, overlap=Overlap(10, 8, 7)),
        make_result(1, 0.9, overlap=Overlap(0, 2, 0)),
        make_result(2, 0.1),
        make_result(3, 0.9, subtype="IPH", overlap=Overlap(5, 5, 5)),
    ]
    true, said, patients = volumes_ml(results, "SDH")
    assert (true.tolist(), said.tolist(), patients) == ([10, 0], [8, 2], ["p000", "p001"])
    found = {each.kind: each.num_studies for each in agreements(results, seed=0)}
    assert found == {"ICH": 3, "SDH": 2}
