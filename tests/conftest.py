"""What holds for all tests: how thoroughly properties are searched, and logging as it was.

Property tests search as they say, or by ``--hypothesis-profile=long`` very thoroughly.
"""

import logging
from collections.abc import Iterator

import pytest
from hypothesis import settings

from config.log import QUIET
from tests.support.examples import LONG, MOST_EXAMPLES

settings.register_profile(LONG, max_examples=MOST_EXAMPLES, deadline=None, print_blob=True)


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Take away the handler of a command: its stream ends with the command."""
    names = ("", "py.warnings", *QUIET)
    before = {
        name: (log.level, tuple(log.handlers))
        for name in names
        for log in [logging.getLogger(name)]
    }
    yield
    logging.captureWarnings(capture=False)
    for name, (level, handlers) in before.items():
        log = logging.getLogger(name)
        log.setLevel(level)
        log.handlers[:] = handlers
