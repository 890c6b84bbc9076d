"""Settings of a recipe that a person changes by name."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter, ValidationError

from config.errors import UsageError
from ml.training.recipes import Recipe


def varied(recipe: Recipe, settings: Mapping[str, str]) -> Recipe:
    """Change settings of a recipe by name.

    Parameters
    ----------
    recipe
        To be varied.
    settings
        From a name (``num_steps``, ``network_config.num_layers``) to a value, as a person writes
        it; sequences as JSON.

    Raises
    ------
    UsageError
        If a recipe has no such setting, or if a value is not of its kind.
    """
    told: dict[str, Any] = asdict(recipe)
    for name, text in settings.items():
        *outer, last = name.split(".")
        place: Any = told
        for key in outer:
            place = place.get(key) if isinstance(place, dict) else None
        known = isinstance(place, dict) and (last in place or outer == ["network_config"])
        if not known or isinstance(place.get(last), dict):
            raise UsageError(f"a recipe has no setting {name!r}; known: {', '.join(_names(told))}")
        place[last] = _value(text)
    try:
        return TypeAdapter(Recipe).validate_python(told)
    except ValidationError as error:
        places = {".".join(map(str, fault["loc"])) for fault in error.errors()} - {""}
        raise UsageError(f"impossible value in {', '.join(sorted(places or settings))}") from error


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _names(settings: Mapping[str, object], prefix: str = "") -> list[str]:
    names: list[str] = []
    for key, value in settings.items():
        names += _names(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [prefix + key]
    return names
