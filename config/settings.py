"""Settings: declared in `config.sections`, loaded and checked once, then passed by hand.

Defaults < the site's TOML file < environment variables ``MIDLINE_SECTION__KEY``. Relative paths
are relative to the working directory.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

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
    "IdentitySettings",
    "LivenessSettings",
    "LogSettings",
    "NodeSettings",
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
    "known_keys",
    "load_settings",
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
    results: ResultSettings = ResultSettings()
    identity: IdentitySettings = IdentitySettings()
    liveness: LivenessSettings = LivenessSettings()
    audit: AuditSettings = AuditSettings()
    log: LogSettings = LogSettings()

    @property
    def receivers(self) -> tuple[ReceiverSettings, ...]:
        """Everybody who gets results, by C-STORE or STOW-RS."""
        return (*self.destinations, *self.web_destinations)

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
        spoken.append(("audit", self.audit.is_forwarded))
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
    tables = {} if path is None else _read_toml(path)
    _check_environment(os.environ)
    try:
        return Settings(**tables)
    except ValidationError as error:
        raise SettingsError(first_fault(error, origin, known_keys=known_keys)) from None
    except SourceError as error:
        raise SettingsError(
            f"environment: a variable {ENV_PREFIX}… must hold a list or a table as JSON"
        ) from error


def _read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file."""
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
    kinds: dict[str, type[BaseModel]] = {
        name: type(field.default)
        for name, field in Settings.model_fields.items()
        if isinstance(field.default, BaseModel)
    }
    kinds |= {
        "destinations": DestinationSettings,
        "web_destinations": WebDestinationSettings,
        "senders": SenderSettings,
        "query": QuerySettings,
        "event_reports": EventReportSettings,
    }
    # the innermost table that the unknown key stands in; numbers count the tables of a list
    tables = [kinds[part] for part in location[:-1] if isinstance(part, str) and part in kinds]
    return tuple((tables[-1] if tables else Settings).model_fields)
