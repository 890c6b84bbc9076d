"""What of changed settings holds at once, and what waits for a new start."""

from typing import Any

import pytest

from config.catalogue import settings_of, tables_of
from config.errors import SettingsError
from config.reloading import RELOADED, changed, is_reloaded, reloaded
from config.settings import Settings

PACS = {"name": "pacs", "ae_title": "PACS", "host": "pacs", "port": 104}


def made(**tables: Any) -> Settings:
    return Settings.model_validate(tables)


def test_what_differs_is_named_by_its_keys() -> None:
    old = made()
    new = made(node={"port": 104}, destinations=[PACS], delivery={"jitter": 0.1})
    assert changed(old, new) == ("node.port", "delivery.jitter", "destinations")
    assert changed(old, old) == ()


def test_what_may_change_is_taken_over_and_the_rest_stays() -> None:
    old = made(node={"port": 11112}, delivery={"slots": 2})
    new = made(
        node={"port": 104, "allowed_calling_ae_titles": ["CT1"]},
        destinations=[PACS],
        senders=[{"ae_title": "CT2", "addresses": ["10.0.0.0/8"]}],
        delivery={"slots": 8, "jitter": 0.5},
    )
    now = reloaded(old, new)
    assert (now.node.port, now.node.allowed_calling_ae_titles) == (11112, ("CT1",))
    assert now.destinations == new.destinations
    assert now.senders == new.senders
    assert (now.delivery.slots, now.delivery.jitter) == (2, 0.5)


def test_what_goes_only_together_with_a_new_start_is_refused() -> None:
    old = made()
    tls = {"certificate": "a", "private_key": "b", "authorities": "c"}
    new = made(tls=tls, destinations=[{**PACS, "tls": True}])
    with pytest.raises(SettingsError, match=r"tls\.certificate.*: only a new start"):
        reloaded(old, new)


def test_every_key_that_may_change_exists() -> None:
    keys = {setting.key for setting in settings_of(Settings)}
    keys |= {table.name for table in tables_of(Settings)}
    assert set(RELOADED) <= keys
    assert is_reloaded("senders.query.port")
    assert is_reloaded("destinations")
    assert not is_reloaded("node.port")
    assert not is_reloaded("delivery.slots")
