"""What results say of this installation, how they are filed, and what is logged."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from config.sections.base import Section


class ResultSettings(Section):
    """How results are filed among the other series of a study."""

    first_series_number: Annotated[int, Field(ge=1, le=9_999_000)] = 9001
    """Series Number of the mask; report and others follow it, each revision ten further on."""
    description: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,15}$")] = "AI ICH"
    """First words of each Series Description, at most 16 plain characters."""


class IdentitySettings(Section):
    """What results say about the equipment that made them (PS3.3 C.7.5.1)."""

    manufacturer: Annotated[str, Field(min_length=1, max_length=64)] = "Midline"
    """Manufacturer."""
    product: Annotated[str, Field(min_length=1, max_length=64)] = "Midline"
    """Manufacturer's model name."""
    serial: Annotated[str, Field(min_length=1, max_length=64)] = "0"
    """Device serial number; unique for each installation."""
    content_qualification: Literal["RESEARCH", "SERVICE"] = "RESEARCH"
    """What unapproved results are: RESEARCH, or SERVICE for tests with phantoms."""
    approved_for_diagnosis: bool = False
    """Whether results may omit the words "not for diagnosis"."""
    approval_reference: str = ""
    """What the approval rests on; required if approved_for_diagnosis is true."""

    @model_validator(mode="after")
    def _approval_has_a_reference(self) -> Self:
        if self.approved_for_diagnosis and not self.approval_reference.strip():
            raise ValueError("approval_reference is required if approved_for_diagnosis is true")
        return self


class LogSettings(Section):
    """What is logged; never patient data."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severe level that is written."""
    format: Literal["text", "json"] = "text"
    """One line of text or one JSON object for each record."""
