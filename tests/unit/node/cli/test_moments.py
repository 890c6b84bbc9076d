"""Times as people write them on the command line."""

from datetime import UTC, datetime, timedelta

import pytest

from config.errors import UsageError
from node.cli.moments import moment_of

NOW = datetime(2030, 1, 10, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("45s", timedelta(seconds=45)),
        ("30min", timedelta(minutes=30)),
        ("2 h", timedelta(hours=2)),
        ("3d", timedelta(days=3)),
    ],
)
def test_how_long_ago_counts_from_now(text: str, ago: timedelta) -> None:
    assert moment_of(text, "--since", now=NOW) == NOW - ago


def test_a_date_and_a_time_are_local_unless_they_name_their_zone() -> None:
    assert moment_of("2030-01-09", "--since", now=NOW) == datetime(2030, 1, 9).astimezone()
    assert moment_of("2030-01-09T08:30Z", "--since", now=NOW) == datetime(
        2030, 1, 9, 8, 30, tzinfo=UTC
    )
    assert moment_of(None, "--since", now=NOW) is None


@pytest.mark.parametrize("text", ["yesterday", "3 weeks", "", "2030-13-01", "-2h", "999999d"])
def test_anything_else_is_a_mistake_that_names_the_option(text: str) -> None:
    with pytest.raises(UsageError, match=r"--since: .* write 30min, 2h or 3d"):
        moment_of(text, "--since", now=NOW)
