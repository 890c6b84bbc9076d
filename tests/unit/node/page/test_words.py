"""The page has words for everything that the node says."""

import pytest

from config.errors import Reason
from node.page import words
from node.results.outcomes import Outcome
from storage.records import Standing


def test_there_are_words_for_all_states_outcomes_and_reasons() -> None:
    assert set(words.STANDINGS) == set(words.TONES) == set(Standing)
    assert set(words.OUTCOMES) == set(Outcome)
    assert set(words.REASONS) == set(Reason)


def test_no_word_clears_a_patient() -> None:
    said = " ".join([*words.OUTCOMES.values(), *words.STANDINGS.values()]).lower()
    for word in ("normal", "clear", "no ich", "no haemorrhage", "negative"):
        assert word not in said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, ""),
        (-1, "0.0 s"),
        (9.94, "9.9 s"),
        (10, "10 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "120 min"),
        (7200, "2 h"),
        (172_800, "2 d"),
    ],
)
def test_a_time_span_has_one_unit(seconds: float | None, said: str) -> None:
    assert words.duration(seconds) == said
