"""How many examples a property test tries: few in the suite, very many where somebody waits."""

from hypothesis import settings

LONG = "long"
MOST_EXAMPLES = 10_000


def examples(usual: int) -> int:
    """Examples of a test: so many, or very many in the profile `LONG`."""
    return MOST_EXAMPLES if settings.get_current_profile_name() == LONG else usual
