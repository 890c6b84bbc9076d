"""``midline train``: mistakes are told before anything is begun."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ml.training.recipes import RECIPES
from node.cli import app


def train(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["train", *arguments], prog_name="midline")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("smoke", "--out", "OUT", "--set", "steps=4"), "a recipe has no setting 'steps'"),
        (("smoke", "--out", "OUT", "--set", "steps"), "--set steps: write NAME=VALUE"),
        (("smoke", "--out", "OUT", "--set", "num_steps=x"), "impossible value in num_steps"),
        (("large", "--out", "OUT"), "there is no recipe 'large'; known: lite_phantom"),
        (("smoke",), "a training needs a RECIPE and --out"),
        (("smoke", "--out", "OUT", "--precision", "half"), "'half' is not one of"),
        (("smoke", "--out", "OUT", "--data", "OUT/none"), "does not exist"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, words: tuple[str, ...], complaint: str) -> None:
    out = tmp_path / "out"
    result = train(*(word.replace("OUT", str(out)) for word in words))
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert result.stderr.count("\n") == 1
    assert not out.exists()


def test_the_recipes_are_listed_with_what_they_are() -> None:
    listed = json.loads(train("--list", "--json").stdout)
    assert list(listed) == list(RECIPES)
    assert all(listed.values())
    assert "smoke" in train("--list").stdout
