"""Which settings may change while the node runs, and what holds after a change.

The others take effect at the next start: ports, folders, the database, limits of connections and
everything that is built once.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from config.errors import SettingsError
from config.settings import Settings

RELOADED = (
    "senders",
    "node.allowed_calling_ae_titles",
    "destinations",
    "web_destinations",
    "webhooks",
    "hl7_receivers",
    "completion",
    "delivery.first_retry_seconds",
    "delivery.longest_retry_seconds",
    "delivery.jitter",
    "delivery.give_up_hours",
    "delivery.connection_timeout_seconds",
    "delivery.acse_timeout_seconds",
    "delivery.dimse_timeout_seconds",
    "delivery.network_timeout_seconds",
    "commitment.wait_on_association_seconds",
    "commitment.timeout_hours",
    "retention",
)
"""Tables and settings that may change; the files that [tls] names are read again, too."""


def is_reloaded(key: str) -> bool:
    """Whether a setting may change while the node runs, by its key as ``node.port``."""
    return any(key == each or key.startswith(f"{each}.") for each in RELOADED)


def changed(old: Settings, new: Settings) -> tuple[str, ...]:
    """Name what differs: settings, and lists of tables as a whole."""
    before, after = dict(_parts(old)), dict(_parts(new))
    return tuple(key for key in before if before[key] != after[key])


def reloaded(old: Settings, new: Settings) -> Settings:
    """Give the old settings what may change of the new ones.

    Raises
    ------
    SettingsError
        If the two do not go together, as a destination with TLS and no certificates yet.
    """
    tables: dict[str, Any] = old.model_dump()
    for key in filter(is_reloaded, changed(old, new)):
        table, _, name = key.partition(".")
        if name:
            tables[table][name] = getattr(getattr(new, table), name)
        else:
            tables[table] = new.model_dump(include={table})[table]
    try:
        return Settings.model_validate(tables)
    except ValidationError as error:
        rule = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{rule}: only a new start of the node can change both") from None


def _parts(settings: Settings) -> Iterator[tuple[str, object]]:
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            fields: Mapping[str, object] = dict(value)
            yield from ((f"{name}.{inner}", fields[inner]) for inner in fields)
        else:
            yield name, value
