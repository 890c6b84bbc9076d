"""Digests of passwords that take no time: these tests are not about what they are worth."""

import pytest
from argon2 import PasswordHasher

from node.page import passwords


@pytest.fixture(autouse=True)
def quick_digests(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "HASHER", quick)
    passwords._nobodys.cache_clear()
