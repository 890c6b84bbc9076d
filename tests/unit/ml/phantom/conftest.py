"""Phantoms that several tests look at; they are made once."""

import pytest

from ml.phantom import Phantom, Scan, make_phantom
from ml.volume import Subtype


@pytest.fixture(scope="package")
def healthy() -> Phantom:
    return make_phantom(1, scan=Scan(matrix=128))


@pytest.fixture(scope="package")
def bleeding() -> Phantom:
    return make_phantom(2, (Subtype.IPH, Subtype.SDH), scan=Scan(matrix=128))
