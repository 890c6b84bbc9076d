"""Third-party files beside the repository; a test that needs them skips where they are absent."""

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def shared_data(*parts: str) -> Path:
    """Path below ``../shared/data``; skips the test if it is not there."""
    path = SHARED_DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"third-party data {'/'.join(parts)} are not in ../shared/data")
    return path


def shared_files(*parts: str) -> list[Path]:
    """All DICOM files of a folder below ``../shared/data``, by name."""
    folder = shared_data(*parts)
    return sorted(
        file
        for file in folder.rglob("*")
        if file.is_file() and file.suffix in ("", ".dcm") and file.name != "LICENSE"
    )
