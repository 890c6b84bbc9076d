"""When a study is complete, what is computed of it, and how a dead worker is noticed."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from config.sections.base import Count, Fraction, Name, Section, SubtypeName, example


class CompletionSettings(Section):
    """When a study is taken for complete."""

    quiet_after_release_seconds: PositiveFloat = 20.0
    """After the sender closed its association, in seconds."""
    quiet_without_release_seconds: PositiveFloat = 60.0
    """After the last new image, if the association stays open, in seconds."""
    deadline_seconds: PositiveFloat = 900.0
    """After the first image, whatever keeps coming, in seconds."""
    sweep_seconds: PositiveFloat = 0.25
    """Time between two looks, in seconds."""
    by_evidence: bool = True
    """Whether a study is complete at once when its images prove it, before it was quiet so long."""
    unknown_sender_seconds: Annotated[float, Field(ge=0)] = 5.0
    """Its images prove it so long after the release, while the sender's habits are not known."""


class AnalysisSettings(Section):
    """What is computed, and on what."""

    model_config = example(
        weights="/srv/midline/weights.safetensors",
        lower_score=0.2,
        upper_score=0.8,
        minimum_ml={"SDH": 0.5, "SAH": 1.0},
        minimum_certainty_percent={"SAH": 60.0},
    )

    model: Name = "sym-transnet-lite"
    """Network to use."""
    weights: Path | None = None
    """File of its weights; without it, the ones that ship with Midline."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"
    """auto, cpu, cuda or cuda:N; auto takes a GPU where there is one."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the network; auto takes what the device does well."""
    threads: Count = 0
    """CPU threads of each worker; 0 lets the system choose."""
    lower_score: Fraction | None = None
    """Score of a case below which it is negative; without it, the model's own."""
    upper_score: Fraction | None = None
    """Score from which a case is positive, between the two it is borderline; likewise."""
    minimum_ml: dict[SubtypeName, Annotated[float, Field(ge=0, le=100)]] = Field(
        default_factory=dict
    )
    """Volume from which a subtype is reported, ml, for each that differs from the model's own."""
    minimum_certainty_percent: dict[SubtypeName, Annotated[float, Field(ge=0, le=100)]] = Field(
        default_factory=dict
    )
    """Mean certainty from which a subtype is reported, percent, for each that has such a limit."""
    workers: Count = 1
    """Analysing processes that this node starts; 0 if other hosts do it."""
    step_attempts: PositiveInt = 3
    """Attempts at a step that failed for a passing reason, such as a full memory."""
    max_recovery_attempts: PositiveInt = 3
    """Workers that may die on one study before it is given up."""


class LivenessSettings(Section):
    """How a dead worker is noticed."""

    beat_seconds: PositiveFloat = 5.0
    """Time between two signs of life, in seconds."""
    dead_after_seconds: PositiveFloat = 20.0
    """A worker without a sign of life for this long is dead, in seconds; its work is taken over."""

    @model_validator(mode="after")
    def _a_beat_may_be_missed(self) -> Self:
        if self.dead_after_seconds < 2 * self.beat_seconds:
            raise ValueError("dead_after_seconds must be at least twice beat_seconds")
        return self
