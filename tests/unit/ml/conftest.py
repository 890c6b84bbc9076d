"""Settings of all tests of the science."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Keep torch to one thread: on small arrays several only wait for each other."""
    torch.set_num_threads(1)
