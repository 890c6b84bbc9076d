"""What settings there are: tables, and in each its settings with sentence, values and variable."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from config.faults import ENV_DELIMITER, ENV_PREFIX
from config.sections.base import Section

Schema = Mapping[str, Any]

GROUPED_FROM = 100_000

FORMATS: Mapping[str, str] = {
    "path": "path",
    "ipv4network": "network, as 10.1.2.0/24",
    "ipv6network": "network, as 2001:db8::/32",
    "date": "date",
    "uri": "URL",
}
"""Words for the formats that pydantic names in a JSON schema."""
KINDS: Mapping[str, str] = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
}
BOUNDS: Mapping[str, str] = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "pattern": "matching {}",
}


@dataclass(frozen=True)
class Table:
    """A table of the settings file.

    Attributes
    ----------
    name
        As in the file, ``senders.query`` for one within another.
    kind
        The section that describes it.
    is_list
        Whether there are as many as the site adds.
    is_optional
        Whether there is none unless the site adds one.
    """

    name: str
    kind: type[Section]
    is_list: bool
    is_optional: bool

    @property
    def sentence(self) -> str:
        """What it is about."""
        return _flat(self.kind.__doc__)

    @property
    def header(self) -> str:
        """How it begins in the file."""
        return f"[[{self.name}]]" if self.is_list else f"[{self.name}]"

    @property
    def settings(self) -> tuple["Setting", ...]:
        """Its settings without inner tables: first those that must be given."""
        found = [
            _setting(self, name, field)
            for name, field in self.kind.model_fields.items()
            if _section_in(field.annotation) is None
        ]
        return tuple(sorted(found, key=lambda setting: not setting.is_required))


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes
    ----------
    table
        Where it stands.
    name
        Its key there.
    sentence
        What it does.
    values
        What may be given, in words.
    is_required
        Whether it must be given where its table is.
    default
        Its value where it is not given; None for nothing.
    example
        What a file could say where there is no default to show; None if that is the default.
    is_secret
        Whether its value must not be shown.
    """

    table: Table
    name: str
    sentence: str
    values: str
    is_required: bool
    default: object
    example: object
    is_secret: bool

    @property
    def key(self) -> str:
        """Table and name, as people and messages call it."""
        return f"{self.table.name}.{self.name}"

    @property
    def variable(self) -> str:
        """Environment variable that goes before the file; a list of tables is given as a whole."""
        parts = self.table.name.split(".")
        whole = parts[:1] if self.table.is_optional else [*parts, self.name]
        return ENV_PREFIX + ENV_DELIMITER.join(whole).upper()


@cache
def tables_of(root: type[BaseModel]) -> tuple[Table, ...]:
    """List the tables of all settings in the order of a file, inner ones after their own."""
    found: list[Table] = []
    for name, field in root.model_fields.items():
        kind = _section_in(field.annotation)
        if kind is not None:
            found += _with_inner(name, kind, field, is_optional=False)
    return tuple(found)


def settings_of(root: type[BaseModel]) -> tuple[Setting, ...]:
    """List all settings."""
    return tuple(setting for table in tables_of(root) for setting in table.settings)


def _with_inner(
    name: str, kind: type[Section], field: FieldInfo, *, is_optional: bool
) -> Iterator[Table]:
    is_list = get_origin(field.annotation) is tuple
    optional = is_optional or is_list or field.default is None
    yield Table(name, kind, is_list, optional)
    for inner, inner_field in kind.model_fields.items():
        inner_kind = _section_in(inner_field.annotation)
        if inner_kind is not None:
            yield from _with_inner(f"{name}.{inner}", inner_kind, inner_field, is_optional=optional)


def _section_in(annotation: object) -> type[Section] | None:
    """Find the section in a type: itself, one of a list, or one that may be missing."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    found = (_section_in(part) for part in get_args(annotation))
    return next((kind for kind in found if kind is not None), None)


def _setting(table: Table, name: str, field: FieldInfo) -> Setting:
    schema = _schema(table.kind)
    examples = schema.get("examples", [{}])[0]
    return Setting(
        table=table,
        name=name,
        sentence=_flat(field.description),
        values=in_words(schema["properties"][name]),
        is_required=field.is_required(),
        default=None if field.is_required() else field.get_default(call_default_factory=True),
        example=examples.get(name),
        is_secret=not field.repr,
    )


@cache
def _schema(kind: type[Section]) -> Schema:
    return kind.model_json_schema()


def in_words(schema: Schema) -> str:
    """Say which values a JSON schema takes."""
    if "anyOf" in schema:
        parts = [part for part in schema["anyOf"] if part.get("type") != "null"]
        return " or ".join(dict.fromkeys(map(in_words, parts)))
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    kind = schema.get("type", "")
    if kind == "array":
        return f"list of: {in_words(schema['items'])}"
    if kind == "object":
        names = ", ".join(schema.get("propertyNames", {}).get("enum", ("any name",)))
        return f"table of {names}: {in_words(schema['additionalProperties'])}"
    words = FORMATS.get(schema.get("format", ""), KINDS.get(kind, "value"))
    bounds = [text.format(_bound(schema[key])) for key, text in BOUNDS.items() if key in schema]
    return ", ".join([words, *bounds])


def _bound(bound: float | str) -> str:
    return grouped(bound) if isinstance(bound, int) else str(bound)


def grouped(number: int) -> str:
    """Write a whole number, its digits grouped by three where there are many."""
    return f"{number:_}" if number >= GROUPED_FROM else str(number)


def _flat(text: str | None) -> str:
    return " ".join((text or "").split())
