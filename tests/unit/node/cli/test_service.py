"""What the long-running commands say and how they are asked to end."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.errors import UsageError
from config.settings import DestinationSettings, NodeSettings, Settings, StorageSettings
from node.cli.service import describe, stop_at_signals
from node.cli.site import with_analysis

WAIT_SECONDS = 10


@pytest.fixture
def _handlers() -> Iterator[None]:
    """Put the handlers of this process back."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("_handlers")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_to_stop(number: int) -> None:
    stop = stop_at_signals()
    assert not stop.is_set()
    os.kill(os.getpid(), number)
    assert stop.wait(WAIT_SECONDS)


@pytest.mark.usefixtures("_handlers")
def test_a_hang_up_asks_for_something_else_and_may_come_again() -> None:
    hang_up = threading.Event()
    stop = stop_at_signals(hang_up)
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGHUP)
        assert hang_up.wait(WAIT_SECONDS)
        assert not stop.is_set()
        hang_up.clear()
    os.kill(os.getpid(), signal.SIGTERM)
    assert stop.wait(WAIT_SECONDS)


@pytest.mark.usefixtures("_handlers")
def test_a_signal_that_comes_while_the_event_is_locked_does_no_harm() -> None:
    stop = stop_at_signals()
    with stop._cond:  # type: ignore[attr-defined]
        os.kill(os.getpid(), signal.SIGTERM)
    assert stop.wait(WAIT_SECONDS)
    assert threading.main_thread().is_alive()


def test_the_node_is_described_in_one_line() -> None:
    settings = Settings(
        node=NodeSettings(port=104),
        storage=StorageSettings(folder=Path("here")),
        destinations=(DestinationSettings(name="pacs", ae_title="A", host="h", port=11),),
    )
    assert describe(settings) == (
        "MIDLINE on 127.0.0.1, port 104; data in here; results to pacs (A@h:11)"
    )
    assert describe(Settings(node=NodeSettings(port=0))) == (
        "MIDLINE on 127.0.0.1, a free port; data in midline-data; "
        "results to nobody: no destination is set"
    )


def test_the_command_line_goes_before_the_settings() -> None:
    settings = with_analysis(Settings(), device="cuda:1", precision=None)
    assert settings.analysis.device == "cuda:1"
    assert settings.analysis.precision == "auto"


def test_a_device_that_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="--device: 'tpu' is not possible"):
        with_analysis(Settings(), device="tpu")
