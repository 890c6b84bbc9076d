"""Settings: declared in `config.sections`, loaded and checked once, then passed by hand.

Defaults < the site's TOML file < environment variables ``MIDLINE_SECTION__KEY``. Relative paths
are relative to the working directory.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

from config.catalogue import tables_of
from config.errors import SettingsError
from config.faults import ENV_DELIMITER, ENV_PREFIX, first_fault
from config.sections.base import Section, is_loopback
from config.sections.delivery import (
    CommitmentSettings,
    DeliverySettings,
    DestinationSettings,
    ReceiverSettings,
    WebDestinationSettings,
)
from config.sections.identity import IdentitySettings, LogSettings, ResultSettings
from config.sections.network import (
    EventReportSettings,
    NodeSettings,
    QuerySettings,
    SenderSettings,
    TLSSettings,
)
from config.sections.notifications import (
    HL7ReceiverSettings,
    NotifiedSettings,
    WebhookSettings,
)
from config.sections.page import MetricsSettings, PageSettings
from config.sections.storage import AuditSettings, RetentionSettings, StorageSettings
from config.sections.work import AnalysisSettings, CompletionSettings, LivenessSettings

__all__ = [
    "AnalysisSettings",
    "AuditSettings",
    "CommitmentSettings",
    "CompletionSettings",
    "DeliverySettings",
    "DestinationSettings",
    "EventReportSettings",
    "HL7ReceiverSettings",
    "IdentitySettings",
    "LivenessSettings",
    "LogSettings",
    "MetricsSettings",
    "NodeSettings",
    "NotifiedSettings",
    "PageSettings",
    "QuerySettings",
    "ReceiverSettings",
    "ResultSettings",
    "RetentionSettings",
    "Section",
    "SenderSettings",
    "Settings",
    "StorageSettings",
    "TLSSettings",
    "WebDestinationSettings",
    "WebhookSettings",
    "known_keys",
    "load_settings",
    "read_tables",
    "settings_from",
]


class Settings(BaseSettings):
    """All settings of a node; see `load_settings`."""

    model_config = SettingsConfigDict(
        frozen=True,
        use_attribute_docstrings=True,
        extra="forbid",
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=ENV_DELIMITER,
        nested_model_default_partial_update=True,
    )

    node: NodeSettings = NodeSettings()
    tls: TLSSettings = TLSSettings()
    senders: tuple[SenderSettings, ...] = ()
    storage: StorageSettings = StorageSettings()
    retention: RetentionSettings = RetentionSettings()
    completion: CompletionSettings = CompletionSettings()
    analysis: AnalysisSettings = AnalysisSettings()
    delivery: DeliverySettings = DeliverySettings()
    commitment: CommitmentSettings = CommitmentSettings()
    destinations: tuple[DestinationSettings, ...] = ()
    web_destinations: tuple[WebDestinationSettings, ...] = ()
    webhooks: tuple[WebhookSettings, ...] = ()
    hl7_receivers: tuple[HL7ReceiverSettings, ...] = ()
    results: ResultSettings = ResultSettings()
    identity: IdentitySettings = IdentitySettings()
    liveness: LivenessSettings = LivenessSettings()
    audit: AuditSettings = AuditSettings()
    page: PageSettings = PageSettings()
    metrics: MetricsSettings = MetricsSettings()
    log: LogSettings = LogSettings()

    @property
    def receivers(self) -> tuple[ReceiverSettings, ...]:
        """Everybody who gets results, by C-STORE or STOW-RS."""
        return (*self.destinations, *self.web_destinations)

    @property
    def notified(self) -> tuple[NotifiedSettings, ...]:
        """Everybody who is told of reports, by webhook or HL7."""
        return (*self.webhooks, *self.hl7_receivers)

    @model_validator(mode="after")
    def _notified_have_names_of_their_own(self) -> Self:
        names = [each.name for each in self.notified]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(
                    f"webhooks and hl7_receivers must have different names, {name!r} is repeated"
                )
        return self

    @model_validator(mode="after")
    def _destinations_have_names_of_their_own(self) -> Self:
        names = [receiver.name for receiver in self.receivers]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"destinations must have different names, {name!r} is repeated")
        return self

    @model_validator(mode="after")
    def _only_loopback_serves_everyone(self) -> Self:
        known = self.senders or self.node.allowed_calling_ae_titles
        if not known and not is_loopback(self.node.host):
            raise ValueError(
                "senders or node.allowed_calling_ae_titles must not be empty when node.host is not "
                "a loopback address"
            )
        return self

    @model_validator(mode="after")
    def _tls_has_certificates(self) -> Self:
        spoken = [("node", self.node.tls)]
        spoken += [(f"destination {d.name!r}", d.tls) for d in self.destinations]
        for sender in self.senders:
            ends = (sender.query, sender.event_reports)
            spoken += [(f"sender {sender.ae_title!r}", e.tls) for e in ends if e is not None]
        spoken += [("audit", self.audit.is_forwarded), ("page", self.page.tls)]
        spoken += [(f"HL7 receiver {each.name!r}", each.tls) for each in self.hl7_receivers]
        for where, speaks in spoken:
            if speaks and not self.tls.is_set:
                raise ValueError(f"{where} speaks TLS: tls.certificate and its key are needed")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is the library's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment go before the file."""
        return env_settings, init_settings


def load_settings(path: Path | None = None) -> Settings:
    """Read the site's settings file and the environment.

    Parameters
    ----------
    path
        TOML file; None for defaults and environment alone.

    Raises
    ------
    SettingsError
        If the file cannot be read, or a setting is unknown, missing or out of range: one line
        that names where it stands, the rule and, for an unknown key, the known ones.
    """
    origin = "settings" if path is None else str(path)
    try:
        return settings_from({} if path is None else read_tables(path))
    except ValidationError as error:
        raise SettingsError(first_fault(error, origin, known_keys=known_keys)) from None


def settings_from(tables: Mapping[str, Any]) -> Settings:
    """Make settings of a file's tables and the environment.

    Raises
    ------
    SettingsError
        If the environment names no setting, or holds no JSON where it must.
    ValidationError
        If a setting is unknown, missing or out of range.
    """
    _check_environment(os.environ)
    try:
        return Settings(**tables)
    except SourceError as error:
        raise SettingsError(
            f"environment: a variable {ENV_PREFIX}… must hold a list or a table as JSON"
        ) from error


def read_tables(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    SettingsError
        If it cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is not UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: is not TOML: {error}") from error


def _check_environment(environment: Mapping[str, str]) -> None:
    """Refuse a variable that names a section which does not exist; the library would skip it."""
    for variable in environment:
        name = variable.upper()
        if not name.startswith(ENV_PREFIX) or ENV_DELIMITER not in name:
            continue
        section = name.removeprefix(ENV_PREFIX).split(ENV_DELIMITER)[0].lower()
        if section not in Settings.model_fields:
            raise SettingsError(
                f"environment {variable}: unknown section {section!r}; "
                f"known are {', '.join(Settings.model_fields)}"
            )


def known_keys(location: tuple[int | str, ...]) -> tuple[str, ...]:
    """List the keys that exist where an unknown one was found."""
    # numbers count the tables of a list
    name = ".".join(part for part in location[:-1] if isinstance(part, str))
    kinds = {table.name: table.kind for table in tables_of(Settings)}
    return tuple(kinds.get(name, Settings).model_fields)
