"""What is kept, for how long, and what is recorded of its use."""

from pathlib import Path

from pydantic import Field, PositiveFloat

from config.sections.base import Count, Host, PeerPort, Section, example


class StorageSettings(Section):
    """Where files and the index are kept."""

    model_config = example(database_url="postgresql+psycopg://midline@db.hospital.example/midline")

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


class RetentionSettings(Section):
    """When images that were received are removed again; results and index stay."""

    model_config = example(keep_days=30.0)

    keep_days: PositiveFloat | None = None
    """So long after every destination has its results, in days; without it, for ever."""
    low_space_bytes: Count = 0
    """While less is free, images of finished studies go before their days are over, in bytes."""


class AuditSettings(Section):
    """The audit trail (PS3.15 A.5)."""

    model_config = example(syslog_host="audit.hospital.example")

    enabled: bool = True
    """Whether it is written."""
    source_id: str = Field(default="midline", min_length=1, max_length=64)
    """Name of this installation in the trail."""
    syslog_host: Host | None = None
    """Audit record repository that gets each message by syslog over TLS (RFC 5425)."""
    syslog_port: PeerPort = 6514
    """Its TCP port."""

    @property
    def is_forwarded(self) -> bool:
        """Whether messages go to a repository too."""
        return self.syslog_host is not None
