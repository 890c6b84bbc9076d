"""How results reach their destinations."""

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from config.sections.base import (
    AETitle,
    Fraction,
    Host,
    Name,
    PeerPort,
    Section,
    example,
    is_loopback,
)


class DeliverySettings(Section):
    """How results are sent to the destinations."""

    first_retry_seconds: PositiveFloat = 30.0
    """Wait after the first failed attempt, in seconds; it doubles with each further one."""
    longest_retry_seconds: PositiveFloat = 1800.0
    """Longest wait between two attempts, in seconds."""
    jitter: Fraction = 0.2
    """Share of each wait that is left to chance, so that nodes do not call in step."""
    give_up_hours: PositiveFloat = 24.0
    """After this long a delivery is dead and shown to the administrator, in hours."""
    slots: PositiveInt = 4
    """Deliveries at the same time."""
    connection_timeout_seconds: PositiveFloat = 10.0
    """Wait for a TCP connection, in seconds."""
    acse_timeout_seconds: PositiveFloat = 15.0
    """Wait for the messages that open and close an association, in seconds."""
    dimse_timeout_seconds: PositiveFloat = 60.0
    """Wait for the answer to a C-STORE, in seconds."""
    network_timeout_seconds: PositiveFloat = 60.0
    """A silent association is aborted after this long, in seconds."""

    @model_validator(mode="after")
    def _waits_grow(self) -> Self:
        if self.longest_retry_seconds < self.first_retry_seconds:
            raise ValueError("longest_retry_seconds must not be less than first_retry_seconds")
        return self


class CommitmentSettings(Section):
    """Storage commitment (PS3.4 Annex J): peers take responsibility for what they got."""

    wait_on_association_seconds: PositiveFloat = 5.0
    """Wait for the answer on the same association, in seconds; later it comes on a new one."""
    timeout_hours: PositiveFloat = 24.0
    """A request without an answer for so long is asked once more, then shown, in hours."""
    offered: bool = False
    """Whether senders may ask this node to commit. It is a cache: they may delete what it holds."""


class ReceiverSettings(Section):
    """Somebody who gets the results, and in what forms."""

    name: Name
    """Its name in lists, logs and the index; a renamed destination is a new one."""
    segmentation: Literal["BINARY", "LABELMAP", "NONE"] = "BINARY"
    """Form of the mask; LABELMAP only for archives that are known to hand it on."""
    compression: Literal["NONE", "JPEG2000", "RLE"] = "NONE"
    """Lossless compression of the mask; RLE for LABELMAP only."""
    keep_empty_frames: bool = False
    """Whether the mask has a frame for each image, for viewers that misplace it otherwise."""
    report: Literal["COMPREHENSIVE_3D", "COMPREHENSIVE", "ENHANCED", "BASIC_TEXT", "NONE"] = (
        "COMPREHENSIVE_3D"
    )
    """Form of the report; BASIC_TEXT carries nothing that a machine could act on."""
    summary_page: bool = True
    """Whether it gets one page for eyes, of every outcome, as Secondary Capture."""
    overlay: bool = False
    """Whether it gets the images with outlines drawn in, as Secondary Capture."""
    key_objects: bool = False
    """Whether it gets a Key Object Selection of the images to look at."""

    @model_validator(mode="after")
    def _forms_exist(self) -> Self:
        if self.compression == "RLE" and self.segmentation == "BINARY":
            raise ValueError("compression RLE needs segmentation LABELMAP")
        if self.report == "NONE" and not self.summary_page:
            raise ValueError("without a report a summary_page is needed: silence is no outcome")
        return self

    @property
    def address(self) -> str:
        """Where it is, for people."""
        raise NotImplementedError


class DestinationSettings(ReceiverSettings):
    """A peer that gets the results by C-STORE, usually the PACS."""

    model_config = example(name="pacs", ae_title="PACS", host="pacs.hospital.example", port=104)

    ae_title: AETitle
    """Its application entity title."""
    host: Host
    """Its host name or address."""
    port: PeerPort
    """Its TCP port."""
    tls: bool = False
    """Whether it speaks DICOM over TLS; see [tls]."""
    commitment: Literal["AUTO", "REQUIRED", "NONE"] = "AUTO"
    """Whether it is asked to commit to what it got: if it offers that, in any case, or never."""

    @property
    def address(self) -> str:
        """``AET@host:port``."""
        return f"{self.ae_title}@{self.host}:{self.port}"


class WebDestinationSettings(ReceiverSettings):
    """A DICOMweb service that gets the results by STOW-RS (PS3.18 10.5)."""

    model_config = example(
        name="cloud",
        url="https://dicom.hospital.example/dicom-web",
        token_file="/etc/midline/dicomweb.token",  # noqa: S106 - a path
        authorities="/etc/midline/authorities.pem",
    )

    url: Annotated[str, Field(pattern=r"^https?://[^/\s]+")]
    """Base URL of the service; studies are stored below it."""
    token_file: Path | None = None
    """File of the bearer token that it asks for."""
    authorities: Path | None = None
    """File of the authorities that its certificate must come from, PEM; else the system's."""
    timeout_seconds: PositiveFloat = 60.0
    """Wait for its answer, in seconds."""

    @model_validator(mode="after")
    def _url_gives_nothing_away(self) -> Self:
        parts = urlsplit(self.url)
        if not self.url.isascii() or not self.url.isprintable() or " " in self.url:
            raise ValueError("url must consist of printable ASCII characters, without spaces")
        if parts.port == 0 or parts.hostname is None:
            raise ValueError("url must name a host, and a port that exists or none")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("url must be scheme, host, port and path alone; see token_file")
        is_private = parts.scheme == "https" or is_loopback(parts.hostname)
        if self.token_file is not None and not is_private:
            raise ValueError("url must be https: a token_file would be sent for all to read")
        return self

    @property
    def address(self) -> str:
        """Its URL."""
        return self.url
