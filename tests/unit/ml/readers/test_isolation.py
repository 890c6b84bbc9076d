"""A fault of a codec costs one study: the next frame is decoded by a fresh process."""

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmwrite
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEGLosslessSV1, JPEGLSLossless

from config.errors import Reason, ResourceError, UnreadableInputError
from ml.readers import isolation
from ml.readers.decoder_process import MOST_MEMORY_BYTES, MOST_OPEN_FILES
from ml.readers.dicom import read_series
from ml.readers.isolation import Decoder
from ml.readers.part10 import read_with_pixels
from tests.support.ct_series import head_series, stack, write
from tests.support.run_lengths import STORED, VALUES, rle
from tests.support.transcoding import write_as
from tests.support.waiting import eventually


def misbehaving(fault: str, *, seconds: float = 30.0) -> Decoder:
    return Decoder(
        (sys.executable, "-m", "tests.support.misbehaving_decoder", fault), seconds=seconds
    )


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    real = Decoder()
    yield real
    real.close()


def process_of(decoder: Decoder) -> int:
    process = decoder._process
    assert process is not None
    return process.pid


def test_one_process_decodes_many_frames(decoder: Decoder) -> None:
    np.testing.assert_array_equal(decoder.decode(rle(VALUES), STORED), VALUES)
    first = process_of(decoder)
    for offset in range(5):
        values = VALUES + np.uint16(1000 * offset)
        np.testing.assert_array_equal(decoder.decode(rle(values), STORED), values)
    assert process_of(decoder) == first


def test_what_is_decoded_can_be_written_to(decoder: Decoder) -> None:
    values = decoder.decode(rle(VALUES), STORED)
    values += 1
    np.testing.assert_array_equal(values, VALUES + 1)


def test_threads_take_turns(decoder: Decoder) -> None:
    def decode(offset: int) -> bool:
        values = VALUES + np.uint16(offset)
        return bool((decoder.decode(rle(values), STORED) == values).all())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(decode, range(64)))


def test_a_refused_frame_costs_its_process_so_that_nothing_is_left_of_it(decoder: Decoder) -> None:
    decoder.decode(rle(VALUES), STORED)
    first = process_of(decoder)
    with pytest.raises(UnreadableInputError, match="cannot be decoded") as refused:
        decoder.decode(b"Doe^Jane" * 9, STORED)
    assert "Doe" not in str(refused.value)
    np.testing.assert_array_equal(decoder.decode(rle(VALUES), STORED), VALUES)
    assert process_of(decoder) != first


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("aborts", r"crashed on a frame: it ended with signal 6, Aborted"),
        ("ends", "crashed on a frame: it ended with code 3"),
        ("eats memory", "crashed on a frame: it ended with code 1"),
        ("answers too long", "answered wrongly"),
        ("announces too much", "answered wrongly"),
        ("answers too short", "answered wrongly"),
        ("answers in another type", "answered wrongly"),
        ("answers another request", "answered wrongly"),
        ("chatters", "answered wrongly"),
        ("nests", "answered wrongly"),
        ("lists", "answered wrongly"),
    ],
)
def test_a_faulty_answer_is_the_fault_of_the_input(fault: str, message: str) -> None:
    decoder = misbehaving(fault)
    with pytest.raises(UnreadableInputError, match=message) as raised:
        decoder.decode(rle(VALUES), STORED)
    assert raised.value.reason is Reason.FORMAT
    assert "\n" not in str(raised.value)
    assert decoder._process is None


@pytest.mark.parametrize("fault", ["hangs", "answers by halves"])
def test_a_decoder_that_does_not_answer_is_killed(fault: str) -> None:
    decoder = misbehaving(fault, seconds=0.3)
    with pytest.raises(UnreadableInputError, match=r"more than 0\.3 s"):
        decoder.decode(rle(VALUES), STORED)
    assert decoder._process is None


def test_a_decoder_that_does_not_read_is_killed() -> None:
    decoder = misbehaving("hangs unread", seconds=0.3)
    with pytest.raises(UnreadableInputError, match=r"more than 0\.3 s"):
        decoder.decode(bytes(1 << 20), STORED)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("never starts", "cannot be started"),
        ("other version", "of another version"),
        ("is killed", "killed from outside"),
    ],
)
def test_a_fault_of_the_node_is_not_blamed_on_the_input(fault: str, message: str) -> None:
    with pytest.raises(ResourceError, match=message) as raised:
        misbehaving(fault).decode(rle(VALUES), STORED)
    assert raised.value.retryable


def test_a_program_that_is_not_there_is_a_fault_of_the_node(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="cannot be started"):
        Decoder((str(tmp_path / "absent"),)).decode(rle(VALUES), STORED)


def test_a_process_that_died_between_two_frames_is_replaced(decoder: Decoder) -> None:
    decoder.decode(rle(VALUES), STORED)
    first = process_of(decoder)
    os.kill(first, signal.SIGKILL)
    assert decoder._process is not None
    decoder._process.wait()
    np.testing.assert_array_equal(decoder.decode(rle(VALUES), STORED), VALUES)
    assert process_of(decoder) != first


def test_the_process_is_confined(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDLINE_SECRET", "SECRET")
    decoder.close()
    decoder.decode(rle(VALUES), STORED)
    pid = process_of(decoder)
    limits = {
        resource.RLIMIT_AS: MOST_MEMORY_BYTES,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: MOST_OPEN_FILES,
    }
    for limit, most in limits.items():
        assert resource.prlimit(pid, limit) == (most, most)
    assert resource.prlimit(pid, resource.RLIMIT_CPU)[0] < 100
    process = Path(f"/proc/{pid}")
    assert "NoNewPrivs:\t1" in (process / "status").read_text()
    assert b"SECRET" not in (process / "environ").read_bytes()
    assert "torch" not in (process / "maps").read_text()
    assert os.getpgid(pid) == pid
    assert (process / "cwd").readlink() == Path("/")


def test_the_process_outlives_the_stop_of_a_service(decoder: Decoder) -> None:
    decoder.decode(rle(VALUES), STORED)
    first = process_of(decoder)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(first, number)
    np.testing.assert_array_equal(decoder.decode(rle(VALUES), STORED), VALUES)
    assert process_of(decoder) == first


PARENT = """
import os, sys
from ml.readers import isolation
from tests.support.run_lengths import STORED, VALUES, rle
isolation.decode(rle(VALUES), STORED)
print(isolation._own._process.pid, flush=True)
os.kill(os.getpid(), 9)
"""


def test_no_process_is_left_when_its_parent_is_killed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, check=False, timeout=60
    )
    assert done.returncode == -signal.SIGKILL
    pid = int(done.stdout)
    eventually(lambda: not Path(f"/proc/{pid}").exists(), seconds=20)


FORKING = """
import multiprocessing, warnings
from ml.readers import isolation
from tests.support.run_lengths import STORED, VALUES, rle

def decode(queue=None):
    right = bool((isolation.decode(rle(VALUES), STORED) == VALUES).all())
    pid = isolation._own._process.pid
    if queue is not None:
        queue.put((right, pid))
    return right, pid

own = decode()
context = multiprocessing.get_context("fork")
queue = context.Queue()
forks = [context.Process(target=decode, args=(queue,)) for _ in range(2)]
[fork.start() for fork in forks]
of_forks = [queue.get(timeout=60) for _ in forks]
[fork.join() for fork in forks]
assert all(right for right, _ in (own, *of_forks))
assert len({pid for _, pid in (own, *of_forks)}) == 3
assert decode() == own
"""


def test_forked_processes_have_decoders_of_their_own() -> None:
    subprocess.run([sys.executable, "-c", FORKING], check=True, timeout=120)


def test_a_frame_that_crashes_gdcm_costs_its_series_and_not_the_next(tmp_path: Path) -> None:
    images = head_series(stack([0.0, 5.0], size=40))
    whole = [
        write_as(image, JPEGLosslessSV1, tmp_path / f"{index}.dcm")
        for index, image in enumerate(images)
    ]
    spoilt = read_with_pixels(whole[1])
    frame = bytearray(next(generate_frames(spoilt.PixelData, number_of_frames=1)))
    frame[15] = 0  # the marker after the frame header, of the table of codes
    spoilt.PixelData = encapsulate([bytes(frame)])
    dcmwrite(tmp_path / "spoilt.dcm", spoilt, enforce_file_format=True)
    with pytest.raises(UnreadableInputError, match="crashed on a frame: it ended with signal"):
        read_series([whole[0], tmp_path / "spoilt.dcm"])
    assert (
        read_series(whole).pixel_digest
        == read_series(write(images, tmp_path / "plain")).pixel_digest
    )


def test_native_values_need_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = write(head_series(stack([0.0, 5.0], size=8)), tmp_path)
    monkeypatch.setattr(isolation, "_own", misbehaving("never starts"))
    read_series(files)
    encoded = write_as(head_series(stack([0.0], size=8))[0], JPEGLSLossless, tmp_path / "ls.dcm")
    with pytest.raises(ResourceError):
        read_series([encoded])


def test_nothing_is_left_of_an_interrupted_exchange(request: pytest.FixtureRequest) -> None:
    decoder = misbehaving("hangs", seconds=60)
    main = threading.main_thread().ident
    timer = threading.Timer(0.5, signal.pthread_kill, [main, signal.SIGINT])
    # whoever runs tests in several processes has them ignore it
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        decoder.decode(rle(VALUES), STORED)
    assert decoder._process is None
