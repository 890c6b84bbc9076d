"""How far a benchmark is, for people who wait for it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

Tell = Callable[[str], None]
"""Is told what comes next; each call is one step."""


def silent(_: str) -> None:
    """Tell nobody."""


@contextmanager
def steps(title: str, total: int | None) -> Iterator[Tell]:
    """Show a bar on standard error that each told step moves on."""
    columns = (
        TextColumn("{task.fields[title]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=total, title=title, completed=-1)

        def tell(what: str) -> None:
            progress.update(task, advance=1, description=what)

        yield tell
