"""Synthetic head CT with the five subtypes of intracranial haemorrhage and their true masks."""

from ml.phantom.lesions import sample_subtypes
from ml.phantom.phantom import Phantom, make_phantom
from ml.phantom.pose import Scan, sample_scan
from ml.phantom.series import ct_datasets, localizer_dataset, write_localizer, write_series

__all__ = [
    "Phantom",
    "Scan",
    "ct_datasets",
    "localizer_dataset",
    "make_phantom",
    "sample_scan",
    "sample_subtypes",
    "write_localizer",
    "write_series",
]
