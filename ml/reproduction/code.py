"""Which code made a result: a digest that changes when the code does, not when its comments do."""

import ast
import hashlib
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path

import ml

_ROOT = Path(ml.__file__).parent


def code_digest(patterns: Iterable[str]) -> str:
    """Digest of what the modules of the package `ml` do.

    Parameters
    ----------
    patterns
        Paths below `ml`, with ``*`` and ``**`` as in `Path.glob`.

    Returns
    -------
    str
        Of the syntax trees without docstrings, thus blind to comments, docstrings and layout.

    Raises
    ------
    ValueError
        If a pattern finds nothing: a file was moved, and the digest would silently lose it.
    """
    digest = hashlib.sha256()
    for pattern in patterns:
        paths = sorted(_ROOT.glob(pattern))
        if not paths:
            raise ValueError(f"no module of ml is {pattern}")
        for path in paths:
            digest.update(path.relative_to(_ROOT).as_posix().encode())
            digest.update(_module_digest(path).encode())
    return digest.hexdigest()[:16]


def modules_behind(module: str, *, within: str, without: Collection[str] = ()) -> tuple[str, ...]:
    """Paths below `ml` of a module and of those that it imports, and so on.

    Parameters
    ----------
    module
        Where to begin, ``ml.models.unet``.
    within
        The package whose modules count, ``ml.models``.
    without
        Modules that do not count, because they decide no result.
    """
    found: set[str] = set()
    ahead = [module]
    while ahead:
        name = ahead.pop()
        path = _path_of(name)
        if name in found or name in without or path is None or not name.startswith(within):
            continue
        found.add(name)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                ahead += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    paths = (_path_of(name) for name in sorted(found))
    return tuple(path.relative_to(_ROOT).as_posix() for path in paths if path is not None)


def _path_of(module: str) -> Path | None:
    path = _ROOT.joinpath(*module.split(".")[1:]).with_suffix(".py")
    return path if path.is_file() else None


@cache
def _module_digest(path: Path) -> str:
    # once for each process: what runs is what was loaded, even if the file changes meanwhile
    return source_digest(path.read_text())


def source_digest(source: str) -> str:
    """Digest of one module's syntax tree without its docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [each for each in node.body if not _is_text(each)]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _is_text(statement: ast.stmt) -> bool:
    """Whether a statement is a mere string: a docstring, or the text below an attribute."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
