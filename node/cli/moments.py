"""Times as people write them: how long ago, or a local time."""

import re
from datetime import datetime, timedelta

from config.errors import UsageError

AGO = re.compile(r"(\d{1,6}) ?(s|min|h|d)")
UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days"}


def moment_of(text: str | None, option: str, *, now: datetime) -> datetime | None:
    """Read a time: ``30min``, ``2h``, ``3d`` ago, or a date or time in ISO 8601, local.

    Parameters
    ----------
    text
        As it was written; None stays None.
    option
        Where, for the complaint.
    now
        From which it counts.

    Raises
    ------
    UsageError
        If it is neither.
    """
    if text is None:
        return None
    ago = AGO.fullmatch(text.strip())
    try:
        if ago is not None:
            return now - timedelta(**{UNITS[ago[2]]: int(ago[1])})
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{option}: {text!r} is no time; write 30min, 2h or 3d for how long ago, "
            "2030-01-31 or 2030-01-31T08:30"
        ) from error
