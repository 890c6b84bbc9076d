"""Settings: declared, loaded and checked once, then passed by hand.

Defaults < the site's TOML file < environment variables ``MIDLINE_SECTION__KEY``. Relative paths
are relative to the working directory.
"""

import os
import tomllib
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

from config.errors import SettingsError
from config.faults import ENV_DELIMITER, ENV_PREFIX, first_fault

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


def _is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


AETitle = Annotated[str, AfterValidator(_checked_ae_title)]
Port = Annotated[int, Field(ge=0, le=65535)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
SubtypeName = Literal["IPH", "IVH", "EDH", "SDH", "SAH"]


class Section(BaseModel):
    """A table of the settings file."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class NodeSettings(Section):
    """How modalities and peers reach this node."""

    ae_title: AETitle = "MIDLINE"
    """Application entity title of this node."""
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for all interfaces."""
    port: Port = 11112
    """TCP port to listen on; 0 lets the system choose one."""
    allowed_calling_ae_titles: tuple[AETitle, ...] = ()
    """Who may send; empty means everyone, which only a loopback host may have."""
    max_pdu_bytes: Annotated[int, Field(ge=4096, le=1 << 24)] = 131_072
    """Longest PDU that is accepted, in bytes."""
    max_associations: PositiveInt = 20
    """Associations served at the same time; further ones are rejected as congestion."""
    max_instance_bytes: PositiveInt = 512 << 20
    """Largest image that is accepted, in bytes."""
    acse_timeout_seconds: PositiveFloat = 15.0
    """Wait for the messages that open and close an association, in seconds."""
    dimse_timeout_seconds: PositiveFloat = 60.0
    """Wait for a message within an association, in seconds."""
    network_timeout_seconds: PositiveFloat = 60.0
    """A silent association is aborted after this long, in seconds."""

    @model_validator(mode="after")
    def _only_loopback_serves_everyone(self) -> Self:
        if not self.allowed_calling_ae_titles and not _is_loopback(self.host):
            raise ValueError(
                "allowed_calling_ae_titles must not be empty when host is not a loopback address"
            )
        return self


class StorageSettings(Section):
    """Where files and the index are kept."""

    folder: Path = Path("midline-data")
    """Folder of received files, results and, unless set otherwise, the index."""
    database_url: str | None = Field(default=None, repr=False)
    """PostgreSQL as postgresql+psycopg://user@host/name; without it, SQLite in the folder."""
    reserve_bytes: Count = 2 << 30
    """No image is accepted while less than this is free, in bytes."""

    @property
    def url(self) -> str:
        """URL of the database: the one that is set, or SQLite in the folder."""
        if self.database_url is not None:
            return self.database_url
        return f"sqlite:///{self.folder.resolve() / 'midline.sqlite'}"


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


class AnalysisSettings(Section):
    """What is computed, and on what."""

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


class DestinationSettings(Section):
    """A peer that gets the results, usually the PACS."""

    name: Name
    """Its name in lists, logs and the index; a renamed destination is a new one."""
    ae_title: AETitle
    """Its application entity title."""
    host: Annotated[str, Field(min_length=1)]
    """Its host name or address."""
    port: Annotated[int, Field(ge=1, le=65535)]
    """Its TCP port."""
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


class LivenessSettings(Section):
    """How a dead worker is noticed."""

    beat_seconds: PositiveFloat = 5.0
    """Time between two signs of life, in seconds."""
    dead_after_seconds: PositiveFloat = 30.0
    """A worker without a sign of life for this long is dead, in seconds."""

    @model_validator(mode="after")
    def _a_beat_may_be_missed(self) -> Self:
        if self.dead_after_seconds < 2 * self.beat_seconds:
            raise ValueError("dead_after_seconds must be at least twice beat_seconds")
        return self


class LogSettings(Section):
    """What is logged; never patient data."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severe level that is written."""
    format: Literal["text", "json"] = "text"
    """One line of text or one JSON object for each record."""


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
    storage: StorageSettings = StorageSettings()
    completion: CompletionSettings = CompletionSettings()
    analysis: AnalysisSettings = AnalysisSettings()
    delivery: DeliverySettings = DeliverySettings()
    destinations: tuple[DestinationSettings, ...] = ()
    results: ResultSettings = ResultSettings()
    identity: IdentitySettings = IdentitySettings()
    liveness: LivenessSettings = LivenessSettings()
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _destinations_have_names_of_their_own(self) -> Self:
        names = [destination.name for destination in self.destinations]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"destinations must have different names, {name!r} is repeated")
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
    sections: dict[str, type[BaseModel]] = {
        name: type(field.default)
        for name, field in Settings.model_fields.items()
        if isinstance(field.default, BaseModel)
    }
    sections["destinations"] = DestinationSettings
    inner = sections.get(str(location[0])) if len(location) > 1 else None
    return tuple((inner or Settings).model_fields)
