import pytest

from benchmarks.soaking import fit


def test_a_rise_in_the_warm_up_does_not_count() -> None:
    studies = list(range(0, 1001, 10))
    line = fit(studies, [300.0 + min(number, 200) for number in studies])
    assert line.is_flat
    assert line.middle_mib == 500.0
    assert line.per_thousand_mib == pytest.approx(0.0, abs=0.01)


def test_a_leak_is_seen() -> None:
    studies = list(range(0, 1001, 10))
    line = fit(studies, [500.0 + 0.1 * number for number in studies])
    assert not line.is_flat
    assert line.per_thousand_mib == pytest.approx(100.0)
    assert line.growth == pytest.approx(80 / 560, abs=0.001)


def test_one_sample_is_too_few() -> None:
    with pytest.raises(ValueError, match="two samples"):
        fit([10], [100.0])
