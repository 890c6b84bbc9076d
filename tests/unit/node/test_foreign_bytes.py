"""Whatever bytes come in by either door, only our errors leave, and they say nothing.

The same doors as in `tests.fuzz`, without its programs: ``--hypothesis-profile=long`` tries 10,000.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pydicom.uid
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import doors, mutations, seeds
from tests.support.examples import examples

SEARCHED = settings(
    max_examples=examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


class Files(dict[str, bytes]):
    """Files by name; hypothesis may not write out what they hold."""

    def __repr__(self) -> str:
        return "files"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(seeds.files(tmp_path_factory.mktemp("seeds")))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[doors.Place]:
    with doors.place(tmp_path_factory.mktemp("place")) as made:
        yield made


@pytest.fixture(scope="module")
def siblings(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return doors.siblings(tmp_path_factory.mktemp("siblings"))


NAMES = st.sampled_from([*(syntax.keyword for syntax in seeds.LOSSLESS), "LegacyConverted"])
CHANGES = st.integers(0, (1 << 32) - 1)
"""Seeds of the changes: a number is small to write, and says all."""


@SEARCHED
@given(name=NAMES, seed=CHANGES, lie=st.integers(-40, 15))
def test_any_request_is_kept_or_refused(
    files: Files, place: doors.Place, name: str, seed: int, lie: int
) -> None:
    syntax = getattr(pydicom.uid, name, pydicom.uid.ExplicitVRLittleEndian)
    data_set = mutations.mutated(seeds.split(files[name])[1], Random(seed))
    control = doors.control_of(str(syntax)) + 16 * max(lie, 0)
    doors.receive(doors.request_of(control, data_set), place)


@SEARCHED
@given(name=NAMES, seed=CHANGES, mutate_all=st.booleans(), alone=st.booleans())
def test_any_file_is_read_or_refused(
    tmp_path: Path,
    files: Files,
    siblings: list[Path],
    name: str,
    seed: int,
    *,
    mutate_all: bool,
    alone: bool,
) -> None:
    head, data_set = seeds.split(files[name])
    file = tmp_path / "file.dcm"
    if mutate_all:
        file.write_bytes(mutations.spoilt(files[name], Random(seed)))
    else:
        file.write_bytes(head + mutations.mutated(data_set, Random(seed)))
    with doors.blank_frames():
        doors.read([file] if alone else [file, *siblings])


def test_what_is_honest_gets_in_by_both_doors(
    tmp_path: Path, files: Files, siblings: list[Path]
) -> None:
    name = "DeflatedExplicitVRLittleEndian"
    control = doors.control_of(str(getattr(pydicom.uid, name)))
    with doors.place(tmp_path) as place:
        assert doors.receive(doors.request_of(control, seeds.split(files[name])[1]), place)
    for encoded in files.values():
        file = tmp_path / "file.dcm"
        file.write_bytes(encoded)
        assert doors.read([file])
    file.write_bytes(files["ExplicitVRLittleEndian"])
    assert doors.read([file, *siblings])
