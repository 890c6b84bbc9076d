"""Fuzz target: any bytes as a C-STORE request: ``python -m tests.fuzz.receive``."""

import sys
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import atheris

with atheris.instrument_imports(include=["ml.readers", "node", "pydicom"]):
    from tests.fuzz import doors, mutations, seeds
    from tests.fuzz.running import arguments

import pydicom.uid


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Change the data set by its elements, or let the fuzzer change bytes."""
    random = Random(seed)
    if len(data) < 2 or random.random() < 0.3:
        return bytes(atheris.Mutate(data, max_size))
    control = random.randrange(256) if random.random() < 0.05 else data[0]
    return (bytes([control]) + mutations.mutated(data[1:], random))[:max_size]


def corpus(folder: Path) -> dict[str, bytes]:
    """Honest requests in every encoding."""
    return {
        name: bytes([doors.control_of(str(getattr(pydicom.uid, name)))]) + seeds.split(file)[1]
        for name, file in seeds.files(folder).items()
        if hasattr(pydicom.uid, name)
    }


def main() -> None:
    """Run until told to stop."""
    with TemporaryDirectory() as folder, doors.place(Path(folder)) as place:

        def test_one_input(data: bytes) -> None:
            if data:
                doors.receive(doors.request_of(data[0], data[1:]), place)

        doors.eavesdrop()
        atheris.Setup(arguments(sys.argv, corpus), test_one_input, custom_mutator=mutate)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
