"""What goes into the queue's tables: JSON only.

DBOS pickles by default; then whoever may write to the database may run code in every worker.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dbos import Serializer

TYPE_NAME = "midline-json"

Json = Mapping[str, "JsonValue"]
JsonValue = None | bool | int | float | str | Sequence["JsonValue"] | Mapping[str, "JsonValue"]


def _plain(value: object) -> dict[str, str]:
    """Reduce an exception to its type: its text may quote patient data."""
    if isinstance(value, BaseException):
        return {"error": type(value).__name__}
    raise TypeError(f"{type(value).__name__} cannot be kept in the queue")


class JsonSerializer(Serializer):
    """Arguments, results of steps and errors as JSON."""

    def serialize(self, data: Any) -> str:
        """Encode a value; an exception becomes its type's name."""
        return json.dumps(data, default=_plain)

    def deserialize(self, serialized_data: str) -> Any:
        """Decode a value."""
        return json.loads(serialized_data)

    def name(self) -> str:
        """Name that DBOS keeps beside each value."""
        return TYPE_NAME
