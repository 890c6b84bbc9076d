"""The web page for those who run the node, and the figures for their monitoring."""

from ipaddress import ip_network
from typing import Annotated, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from config.sections.base import Network, Port, Section, is_loopback

HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9.:\[\]-]{1,253}$")]


class PageSettings(Section):
    """The web page for those who run the node."""

    enabled: bool = True
    """Whether serve starts it, once there is an account (midline accounts add)."""
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for all interfaces."""
    port: Port = 8080
    """TCP port to listen on; 0 lets the system choose one."""
    host_names: tuple[HostName, ...] = ()
    """Names under which browsers reach it; a page on loopback answers to no other but localhost."""
    tls: bool = False
    """Whether it speaks TLS, with the node's certificate; see [tls]."""
    plain_off_loopback: bool = False
    """Whether it may be open to other machines without TLS, where anybody can read passwords."""
    session_hours: PositiveFloat = 12.0
    """So long after signing in one has to sign in again, in hours."""
    idle_minutes: PositiveFloat = 60.0
    """So long without a click one has to sign in again, in minutes."""
    sign_in_attempts: PositiveInt = 10
    """Wrong passwords of an account, or from an address, in 15 minutes; then none is tried."""
    refresh_seconds: Annotated[float, Field(ge=0.5, le=60)] = 2.0
    """Time between two looks of an open page, in seconds."""
    show_uids: bool = False
    """Whether it shows UIDs of studies and series, by which an archive can name the patient."""
    show_slices: bool = True
    """Whether it shows slices with what was outlined in them, without any text of the images."""

    @model_validator(mode="after")
    def _a_plain_page_is_asked_for(self) -> Self:
        if not (self.tls or self.plain_off_loopback or is_loopback(self.host)):
            raise ValueError(
                "host is not a loopback address: set tls, or plain_off_loopback if the network "
                "protects what travels on it"
            )
        return self


class MetricsSettings(Section):
    """Figures for Prometheus, at /metrics on the port of the page."""

    enabled: bool = False
    """Whether they are given; serve then starts the page's process without an account too."""
    addresses: tuple[Network, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    """Networks that may read them, without signing in."""
