"""The report of a reproduction: Markdown to read, PNG to look at, JSON to compute with."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from ml.reproduction.machine import machine
from ml.reproduction.markdown import Table, from_plain, to_markdown
from ml.reproduction.paper import ASSUMED, CITATION, CONTRADICTIONS
from ml.reproduction.parts import Before, Json, Made, write_json
from ml.reproduction.scales import Scale

REPORT = "report.md"

_FIGURES = {
    "figures/roc": "ROC curves of the case score on the test patients.",
    "figures/6": "Figure 6. The compared networks: for each subtype the first test patient who has "
    "it, its slice with most of it. Outlines in the colour of the subtype, the truth again as a "
    "thin white line.",
    "figures/7": "Figure 7. The ablation, on the same slices.",
}


def write_report(folder: Path, scale: Scale, before: Before) -> Json:
    """Write ``report.md``, ``report.json`` and the pictures into a folder.

    Parameters
    ----------
    folder
        Exists.
    scale
        What was reproduced.
    before
        All other parts.
    """
    tables = {
        name: [from_plain(held) for held in made.read("tables.json")]
        for name, made in before.items()
        if name.startswith("tables/")
    }
    pictures = {
        name: str(made.result["picture"])
        for name, made in before.items()
        if name.startswith("figures/")
    }
    for name, picture in pictures.items():
        shutil.copyfile(before[name].folder / picture, folder / picture)
    seconds = {name: made.seconds for name, made in before.items()}
    write_json(
        folder / "report.json",
        {
            "scale": scale.name,
            "data": before["data"].result,
            "tables": {
                name: [{"title": table.title, "facts": table.facts} for table in held]
                for name, held in tables.items()
            },
            "assessments": {
                name: made.result for name, made in before.items() if name.startswith("assess/")
            },
            "machine": machine(),
            "seconds": seconds,
            "digests": {name: made.digest for name, made in before.items()},
        },
    )
    sections = [
        _head(scale, before["data"]),
        _training(scale),
        *("\n".join(map(to_markdown, held)) for held in tables.values()),
        "\n\n".join(
            f"![{_FIGURES[name]}]({picture})\n\n{_FIGURES[name]}"
            for name, picture in pictures.items()
        )
        + "\n",
        _contradictions(),
        _machine(seconds),
    ]
    (folder / REPORT).write_text("\n".join(sections))
    return {"report": REPORT, "pictures": sorted(pictures.values())}


def publish(made: Mapping[str, Made], folder: Path) -> Path:
    """Copy a finished report to where people look for it; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    report = made["report"]
    for name in (REPORT, "report.json", *report.result["pictures"]):
        shutil.copyfile(report.folder / name, folder / name)
    return folder / REPORT


def _head(scale: Scale, data: Made) -> str:
    patients, bleeding, having = (data.result[key] for key in ("patients", "with_a_bleed", "with"))
    counts = "; ".join(
        f"{split}: {count} patients, {bleeding[split]} with a bleed"
        for split, count in patients.items()
    )
    subtypes = ", ".join(f"{name} {count}" for name, count in having.items())
    return f"""# Tables 1 to 5 of the paper, at scale `{scale.name}`

{CITATION}.

Made by `midline reproduce --scale {scale.name}`; every number, table and picture is generated.
Research use only, not for diagnosis. **The patients are synthetic heads, and the networks are as
large as the scale says: the numbers can be compared with each other, not with the paper's.**

- {counts}. In the test: {subtypes}. Patients are in one split each, by their seeds.
- Every network saw the same patients, the same input and the same number of steps.
- Measured by the node's own `Segmenter` on the grid of the source, after lesions below the least
  volume were left out. Least volumes and thresholds were chosen on validation alone.
- Intervals are of 95 %, by bootstrap over patients. They do not hold the spread between trainings:
  each network was trained once.
"""


def _training(scale: Scale) -> str:
    recipe, spec = scale.recipe, scale.input
    settings = {
        "input": f"{spec.size} x {spec.size} pixels of {spec.pixel_mm} mm, "
        f"{spec.num_slices} slice(s), windows (level, width) "
        + ", ".join(f"({level:g}, {width:g})" for level, width in spec.windows),
        "phantoms": f"{scale.phantoms.matrix} x {scale.phantoms.matrix}, difficulty "
        f"{scale.phantoms.difficulty}, seeds from {scale.phantoms.first_seed}",
        "steps": f"{recipe.num_steps} of {recipe.batch_size} slices",
        "Adam": f"rate {recipe.learning_rate:g} to {recipe.final_rate:g}, {recipe.decay}, weight "
        f"decay {recipe.weight_decay:g}",
        "loss": f"cross-entropy (weights {', '.join(f'{w:g}' for w in recipe.class_weights)}) + "
        "Dice",
        "kept": f"moving average of weights, best of every {recipe.validate_every} steps on "
        f"{min(recipe.num_watched, scale.phantoms.num_validation)} validation patients",
        "networks": "; ".join(
            f"{name}: " + (", ".join(f"{k} {v}" for k, v in config.items()) or "as published")
            for name, config in scale.configs.items()
        ),
    }
    table = Table("How they were trained", ("Setting", "Value"), tuple(settings.items()))
    return to_markdown(table)


def _contradictions() -> str:
    table = Table(
        "Where the paper contradicts itself, and what is done here",
        ("Printed", "Here"),
        tuple((each.printed, each.here) for each in CONTRADICTIONS),
    )
    return to_markdown(table) + "\nAssumed, for want of the printed text:\n\n" + _list(ASSUMED)


def _machine(seconds: Mapping[str, float]) -> str:
    facts = Table("Machine and versions", ("What", "Value"), tuple(machine().items()))
    groups: dict[str, float] = {}
    for name, taken in seconds.items():
        group = name if name.startswith("train/") else name.split("/", maxsplit=1)[0]
        groups[group] = groups.get(group, 0.0) + taken
    rows = [(group, f"{taken:.0f}") for group, taken in groups.items()]
    rows.append(("all", f"{sum(seconds.values()):.0f}"))
    times = Table(
        "Wall time, seconds",
        ("Part", "Seconds"),
        tuple(rows),
        notes=("Of the run that finished a part; what was interrupted before is not counted.",),
    )
    return to_markdown(facts) + "\n" + to_markdown(times)


def _list(lines: Iterable[str]) -> str:
    return "".join(f"- {line}\n" for line in lines)
