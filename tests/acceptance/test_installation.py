"""Installed as a site would: a wheel in an environment of its own, with all that it needs in it."""

import json
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ml import weights

ROOT = Path(__file__).parents[2]
PACKAGES = ("config", "ml", "node", "storage")
SECONDS = 120

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3 * SECONDS)]


def run(*words: object, cwd: Path) -> str:
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        capture_output=True,
        check=False,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def files_of(folder: Path) -> set[str]:
    """Everything in the packages that is part of the program."""
    return {
        path.relative_to(folder).as_posix()
        for package in PACKAGES
        for path in (folder / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy what a wheel is built of: a build leaves its traces beside it."""
    folder = tmp_path_factory.mktemp("source")
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    for name in ("setup.cfg", "pyproject.toml", "README.md", "run_node.py", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path) -> Path:
    # with the tools that are here: nothing is fetched
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", "dist")
    run(sys.executable, "-m", "pip", "wheel", *options, ".", cwd=source)
    (made,) = (source / "dist").glob("*.whl")
    return made


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel; what it depends on is taken from here, since torch is large."""
    folder = tmp_path_factory.mktemp("site") / "venv"
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    options = ("install", "--no-deps", "--no-index", "--no-compile")
    run(sys.executable, "-m", "pip", "--python", python, *options, wheel, cwd=folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    # a path of a path file is searched last, and its own path files are not: not even our own
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "midline"


def test_everything_of_the_program_is_in_the_wheel(source: Path, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if name.split("/")[0] in PACKAGES}
    assert names == files_of(source)
    assert f"ml/weights/{weights.path_of('sym-transnet-lite').name}" in names
    assert any(name.startswith("node/page/templates/") for name in names)


def test_the_installed_program_works_away_from_its_source(program: Path, tmp_path: Path) -> None:
    def midline(*words: str) -> str:
        return run(program, *words, cwd=tmp_path)

    python = program.with_name("python")
    place = run(python, "-c", "import node; print(node.__file__)", cwd=tmp_path)
    assert Path(place.strip()).is_relative_to(program.parents[1])
    example = tmp_path / "midline.toml"
    midline("config", "example", "--out", str(example))
    assert example.read_bytes() == (ROOT / "config" / "midline.example.toml").read_bytes()
    assert midline("--config", str(example), "config", "check").endswith("in order\n")
    assert midline("--config", str(example), "db", "upgrade").endswith("the newest\n")
    found: Any = json.loads(midline("--config", str(example), "doctor", "--json"))
    levels = {each["check"]: each["level"] for each in found["findings"]}
    for check in ("settings", "database", "weights", "decoders", "device"):
        assert levels[check] == "OK"
