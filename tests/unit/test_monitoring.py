"""The alert rules and the dashboard that ship: every figure that they use is exported."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from config.settings import Settings
from node.operating.overview import look
from node.page.metrics import Figures
from storage.database import Database
from tests.support.databases import database_url
from tests.support.many_studies import fill
from tests.support.received import NOW

FOLDER = Path(__file__).parents[2] / "deploy" / "monitoring"
RULES, DASHBOARD = FOLDER / "alerts.yml", FOLDER / "grafana-dashboard.json"
FIGURE = re.compile(r"\bmidline_[a-z_]+")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Names of all samples of a node that is at work, each with the names of its labels."""
    folder = tmp_path_factory.mktemp("monitoring")
    with database_url(folder) as url:
        database = Database(url)
        database.upgrade()
        fill(database, 60, now=NOW)
        settings = Settings.model_validate({"storage": {"folder": folder}})
        with database.read() as transaction:
            overview = look(transaction, settings)
        figures = Figures(database, lambda: overview)
        figures.observe("/", 200, 0.1)
        text = figures.write().decode()
        database.close()
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        names = {sample.name for sample in family.samples} or {family.name}
        names |= {f"{family.name}{end}" for end in ("_bucket", "_count", "_sum")}
        for name in names:
            labels = {key for sample in family.samples for key in sample.labels}
            found.setdefault(name, set()).update(labels)
    return found


def rules() -> list[str]:
    """Expressions of the rules, as they stand in the file, which is too plain to need a parser."""
    text = re.sub(r">-\n\s*", "", RULES.read_text())
    return re.findall(r"^\s*expr: (.+(?:\n\s{10,}[^a-z].+)*)", text, re.MULTILINE)


def panels() -> Iterator[dict[str, Any]]:
    yield from json.loads(DASHBOARD.read_text())["panels"]


def expressions() -> list[str]:
    return [*rules(), *(target["expr"] for panel in panels() for target in panel["targets"])]


def test_every_figure_in_rules_and_dashboard_is_exported(exported: dict[str, set[str]]) -> None:
    used = {name for expression in expressions() for name in FIGURE.findall(expression)}
    assert len(used) > 15
    assert used <= set(exported), used - set(exported)


def test_every_label_that_they_choose_by_is_one_of_the_figure(
    exported: dict[str, set[str]],
) -> None:
    chosen = [
        (name, label)
        for expression in expressions()
        for name, labels in re.findall(r"(midline_[a-z_]+)\{([^}]*)\}", expression)
        for label in re.findall(r"(\w+)=", labels)
    ]
    assert chosen
    for name, label in chosen:
        assert label in exported[name], (name, label)


def test_every_rule_has_words_and_a_severity() -> None:
    alerts = RULES.read_text().split("- alert:")[1:]
    assert len(alerts) == len(rules()) == 14
    for alert in alerts:
        assert "summary:" in alert
        assert re.search(r"severity: (warning|critical)", alert)


def test_panels_do_not_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        own = {
            (place["x"] + i, place["y"] + j) for i in range(place["w"]) for j in range(place["h"])
        }
        assert not own & taken, panel["title"]
        assert max(x for x, _ in own) < 24
        taken |= own


def test_prometheus_takes_the_rules() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool of Prometheus is not installed")
    done = subprocess.run(
        [promtool, "check", "rules", RULES], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "14 rules found" in done.stdout
