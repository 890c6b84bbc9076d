"""What both fuzz targets need to run: seeds, a dictionary, limits."""

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fuzz.mutations import REPRESENTATIONS, VALUES
from tests.fuzz.seeds import tags

LIMITS = ("-timeout=60", "-rss_limit_mb=3000", "-max_len=65536")
"""Seconds for one input, memory, and bytes of an input."""


def arguments(command: Sequence[str], corpus: Callable[[Path], dict[str, bytes]]) -> list[str]:
    """Arguments for libFuzzer: ours, those of the command line, and a folder to work in.

    The folder is the last argument if it is no option; what was found before is gone on with.
    """
    given = [argument for argument in command[1:] if argument.startswith("-")]
    folders = [Path(argument) for argument in command[1:] if not argument.startswith("-")]
    folder = folders[0] if folders else Path("fuzz-corpus", Path(command[0]).stem)
    inputs = folder / "inputs"
    inputs.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as scratch:
        for name, content in corpus(Path(scratch)).items():
            (inputs / name).write_bytes(content)
    dictionary = folder / "dictionary.txt"
    dictionary.write_text("\n".join(map(_quoted, _words())) + "\n", encoding="ascii")
    return [
        command[0],
        *LIMITS,
        f"-dict={dictionary}",
        f"-artifact_prefix={folder}/",
        *given,
        str(inputs),
    ]


def _words() -> list[bytes]:
    words = [(tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little") + vr
             for tag, vr in tags().items()]  # fmt: skip
    return [*words, *REPRESENTATIONS, *(value for value in VALUES if 0 < len(value) < 60)]


def _quoted(word: bytes) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in word) + '"'
