"""What the sections of the settings have in common: their base, and the types of their values."""

from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MAX_AE_TITLE_CHARS = 16


def _checked_ae_title(title: str) -> str:
    """Check an application entity title (PS3.5 6.2, VR AE)."""
    is_printable = title.isascii() and title.isprintable() and "\\" not in title
    if not is_printable or not 1 <= len(title) <= MAX_AE_TITLE_CHARS or title != title.strip():
        raise ValueError(
            f"must be 1 to {MAX_AE_TITLE_CHARS} printable ASCII characters, without backslash "
            "and without spaces at its ends"
        )
    return title


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


AETitle = Annotated[str, AfterValidator(_checked_ae_title)]
Port = Annotated[int, Field(ge=0, le=65535)]
PeerPort = Annotated[int, Field(ge=1, le=65535)]
Host = Annotated[str, Field(min_length=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Network = IPv4Network | IPv6Network
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
SubtypeName = Literal["IPH", "IVH", "EDH", "SDH", "SAH"]


class Section(BaseModel):
    """A table of the settings file."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def example(**values: Any) -> ConfigDict:
    """Say what the example file gives the settings of a section that have no default to show."""
    return ConfigDict(json_schema_extra={"examples": [dict(values)]})
