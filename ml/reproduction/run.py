"""Where a run begins: a folder, a device and threads become parts that can be made."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from ml.inference import choose_device
from ml.reproduction import symmetry_page
from ml.reproduction.comparing import Compared, compare_all
from ml.reproduction.heads import HeadsKept
from ml.reproduction.markdown import Table
from ml.reproduction.parts import Made, Workshop
from ml.reproduction.report import publish
from ml.reproduction.reproduce import reproduction
from ml.reproduction.scales import scale_named
from ml.reproduction.symmetry import default_plan, experiment, results_of


@dataclass(frozen=True)
class Setting:
    """Where a run happens; nothing here decides what comes out.

    Attributes
    ----------
    out
        Folder of the run.
    cache
        Folder of synthetic heads; None for one below `out`.
    device
        As `ml.inference.choose_device` takes it.
    threads
        Threads of torch, and processes that make heads.
    tell
        Told what is being done, in one line.
    """

    out: Path
    cache: Path | None
    device: str
    threads: int
    tell: Callable[[str], None]

    def heads(self) -> HeadsKept:
        """Return what gives the heads."""
        return HeadsKept(self.cache or self.out / "cache", self.threads)

    def chosen_device(self) -> torch.device:
        """Choose the device, and set the threads of this process."""
        torch.set_num_threads(self.threads)
        return torch.device(choose_device(self.device))


def run_reproduction(
    scale: str, setting: Setting, *, only: Iterable[str] = ()
) -> tuple[Mapping[str, Made], Path | None]:
    """Make the parts of a reproduction that are wanted and not finished.

    Parameters
    ----------
    scale
        ``cpu`` or ``paper``.
    setting
        Where it happens.
    only
        Beginnings of names of parts; none for all.

    Returns
    -------
    made : Mapping
        The wanted parts and what they need.
    report : Path or None
        ``OUT/report/report.md``, if the report is among them.
    """
    parts = reproduction(scale_named(scale), setting.heads(), device=setting.chosen_device())
    made = Workshop(setting.out, parts, tell=setting.tell).make(only)
    return made, publish(made, setting.out / "report") if "report" in made else None


@dataclass(frozen=True)
class Experiment:
    """What an experiment says so far.

    Attributes
    ----------
    made
        The parts that are finished.
    found
        What comes out; None if it was not asked for (single parts were).
    tables
        The same to be read; empty then.
    """

    made: Mapping[str, Made]
    found: Compared | None
    tables: tuple[Table, ...]


def run_symmetry(
    setting: Setting,
    *,
    only: Iterable[str] = (),
    page: Path | None = None,
    so_far: bool = False,
) -> Experiment:
    """Make the parts of the experiment on symmetry that are wanted and not finished.

    Parameters
    ----------
    setting
        Where it happens.
    only
        Beginnings of names of parts; none for all.
    page
        Its generated part is replaced, if the whole experiment was made.
    so_far
        Make nothing; compare what is finished.

    Raises
    ------
    UsageError
        If `so_far` finds fewer than two seeds, or the page lacks its marks.
    """
    plan = default_plan()
    parts = experiment(plan, setting.heads(), device=setting.chosen_device())
    workshop = Workshop(setting.out, parts, tell=setting.tell)
    made = workshop.finished() if so_far else workshop.make(only)
    if not so_far and "effects" not in made:
        return Experiment(made, None, ())
    found = compare_all(results_of(plan, made), seed=plan.bootstrap_seed)
    if page is not None and "effects" in made and "picture" in made:
        symmetry_page.publish(page, plan, found, made)
    return Experiment(made, found, tuple(symmetry_page.tables(plan, found)))
