"""When a run reached which stage: kept with the job's end, and shown in the study's time line."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum


class Stage(StrEnum):
    """What a worker has done of a run, in this order."""

    SELECTED = "selected"
    """A series is chosen."""
    READ = "read"
    """Its images are decoded, and belong to the study and patient."""
    ALIGNED = "aligned"
    """Its midline is found, and it is resampled along it."""
    SEGMENTED = "segmented"
    """The network has seen it."""
    ENCODED = "encoded"
    """Findings are measured, and objects are written."""


class Stages:
    """The stages that a run has reached, and when.

    Parameters
    ----------
    before
        What an earlier step of the run reached, as `as_json` gave it.
    """

    def __init__(self, before: Mapping[str, object] | None = None) -> None:
        self._moments = {name: str(moment) for name, moment in (before or {}).items()}

    def reach(self, stage: Stage) -> None:
        """Note that a stage was reached now."""
        self._moments[stage] = datetime.now(UTC).isoformat()

    def as_json(self) -> dict[str, str]:
        """Give what one step hands to the next, and what is kept."""
        return dict(self._moments)


def stages_of(step: Mapping[str, object]) -> Stages:
    """Go on from where an earlier step of the run came to."""
    found = step.get("stages")
    return Stages(found if isinstance(found, Mapping) else None)


def read_stages(text: str | None) -> dict[Stage, datetime]:
    """Read what was kept, in the order of the stages; what a later version kept beside is left."""
    kept = json.loads(text or "{}")
    return {stage: datetime.fromisoformat(kept[stage]) for stage in Stage if stage in kept}
