"""Values for operators, made of the records of storage without what stays inside."""

from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Value = TypeVar("Value", bound="DataclassInstance")


def made_of(kind: type[Value], record: "DataclassInstance", **more: Any) -> Value:
    """Copy what a value holds out of a record; what the record does not know is named.

    Parameters
    ----------
    kind
        A frozen dataclass.
    record
        Has an attribute for each of its fields.
    **more
        Fields that the record lacks, or that replace the record's.
    """
    copied = {
        field.name: getattr(record, field.name) for field in fields(kind) if field.name not in more
    }
    return kind(**copied, **more)
