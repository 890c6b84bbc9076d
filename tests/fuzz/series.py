"""Fuzz target: any bytes as a file, alone or in a series: ``python -m tests.fuzz.series``."""

import sys
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import atheris

with atheris.instrument_imports(include=["ml.readers", "ml.quality", "node.selection", "pydicom"]):
    from tests.fuzz import doors, mutations, seeds
    from tests.fuzz.running import arguments

ALONE, AMONG_OTHERS, REALLY_DECODED = b"\0", b"\1", b"\2"


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Change the data set by its elements, or let the fuzzer change bytes."""
    random = Random(seed)
    if len(data) < 200 or random.random() < 0.3:
        return bytes(atheris.Mutate(data, max_size))
    head, data_set = seeds.split(data[1:])
    return (data[:1] + head + mutations.mutated(data_set, random))[:max_size]


def corpus(folder: Path) -> dict[str, bytes]:
    """Whole files in every encoding; what takes longer is marked, and comes in fewer seeds."""
    files = seeds.files(folder)
    return {
        **{name: ALONE + file for name, file in files.items()},
        "AmongOthers": AMONG_OTHERS + files["ExplicitVRLittleEndian"],
        "ReallyDecoded": REALLY_DECODED + files["JPEGLosslessSV1"],
    }


def main() -> None:
    """Run until told to stop."""
    with TemporaryDirectory() as folder:
        others = doors.siblings(Path(folder, "others"))
        file = Path(folder, "file.dcm")

        def test_one_input(data: bytes) -> None:
            file.write_bytes(data[1:])
            if data[:1] == REALLY_DECODED:
                doors.read([file])
                return
            with doors.blank_frames():
                doors.read([file, *others] if data[:1] == AMONG_OTHERS else [file])

        doors.eavesdrop()
        atheris.Setup(arguments(sys.argv, corpus), test_one_input, custom_mutator=mutate)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
