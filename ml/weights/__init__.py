"""The weights that ship with Midline: a safetensors file and its card for each model."""

from pathlib import Path

from config.errors import UsageError
from ml.models.registry import NETWORKS

_FOLDER = Path(__file__).parent


def shipped() -> tuple[str, ...]:
    """Names of the models whose weights ship."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.safetensors")))


def path_of(model: str) -> Path:
    """Path of the weights that ship for a model.

    Raises
    ------
    UsageError
        If none ship under this name; it says whether there is such a network at all.
    """
    if model in shipped():
        return _FOLDER / f"{model}.safetensors"
    ready = ", ".join(shipped()) or "none"
    if model not in NETWORKS:
        raise UsageError(
            f"there is no model {model!r}. Weights ship for: {ready}. Networks without weights: "
            f"{', '.join(sorted(set(NETWORKS) - set(shipped())))}"
        )
    raise UsageError(
        f"no weights ship for {model!r}, only for {ready}. Train it, and name the file in "
        "analysis.weights (on the command line --weights)"
    )
