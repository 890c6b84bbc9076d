"""Which series of a study is analysed, and why the others are not."""

from node.selection.choice import RejectedSeries, SelectedSeries, Selection, select_series
from node.selection.description import describe_selection
from node.selection.gates import image_fault
from node.selection.geometry import Spacing, stack_fault
from node.selection.rejections import Caution, Criteria, Fault, Rejection

__all__ = [
    "Caution",
    "Criteria",
    "Fault",
    "RejectedSeries",
    "Rejection",
    "SelectedSeries",
    "Selection",
    "Spacing",
    "describe_selection",
    "image_fault",
    "select_series",
    "stack_fault",
]
