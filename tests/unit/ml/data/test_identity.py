"""Hashes stand for patients: equal within a name space, unguessable with a key."""

import hashlib
import re

from ml.data.identity import Pseudonyms


def test_a_plain_hash_can_be_computed_by_whoever_has_the_source() -> None:
    expected = hashlib.sha256(b"bhsd\0patient\x00017").hexdigest()[:16]
    assert Pseudonyms("bhsd").of_patient("017") == expected


def test_a_key_a_name_space_and_a_level_each_change_the_hash() -> None:
    plain = Pseudonyms("a")
    hashes = {
        plain.of_patient("1"),
        Pseudonyms("b").of_patient("1"),
        Pseudonyms("a", b"secret").of_patient("1"),
        Pseudonyms("a", b"other").of_patient("1"),
        plain.of_study("1", "1"),
        plain.of_study("11", ""),
    }
    assert len(hashes) == 6
    assert all(re.fullmatch("[0-9a-f]{16}", value) for value in hashes)
