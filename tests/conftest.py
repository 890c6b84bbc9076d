"""How thoroughly property tests search: as they say, or ``--hypothesis-profile=long``."""

from hypothesis import settings

from tests.support.examples import LONG, MOST_EXAMPLES

settings.register_profile(LONG, max_examples=MOST_EXAMPLES, deadline=None, print_blob=True)
