"""How long to wait before something is tried again that a peer did not take."""

import random
from datetime import timedelta

from config.settings import DeliverySettings


def pause_after(attempt: int, settings: DeliverySettings, *, chance: random.Random) -> timedelta:
    """Pause before the next attempt: doubled each time up to a limit, and varied a little."""
    seconds = min(
        settings.first_retry_seconds * 2.0 ** min(attempt - 1, 30), settings.longest_retry_seconds
    )
    return timedelta(seconds=seconds * chance.uniform(1 - settings.jitter, 1 + settings.jitter))
