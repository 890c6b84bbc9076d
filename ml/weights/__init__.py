"""The weights that ship with Midline: a safetensors file and its card for each model."""

from pathlib import Path

from config.errors import UsageError

_FOLDER = Path(__file__).parent


def shipped() -> tuple[str, ...]:
    """Names of the models whose weights ship."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.safetensors")))


def path_of(model: str) -> Path:
    """Path of the weights that ship for a model.

    Raises
    ------
    UsageError
        If none ship under this name.
    """
    path = _FOLDER / f"{model}.safetensors"
    if model not in shipped():
        raise UsageError(
            f"no weights ship for {model!r}; known are {', '.join(shipped()) or 'none'}. "
            "Name a file in analysis.weights"
        )
    return path
