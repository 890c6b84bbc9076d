"""Synthetic head CT with the five subtypes of intracranial haemorrhage and their true masks."""

from ml.phantom.anatomy import Difficulty
from ml.phantom.lesions import sample_subtypes
from ml.phantom.patients import Population, make_patient
from ml.phantom.phantom import Phantom, make_phantom
from ml.phantom.pose import Scan, sample_scan
from ml.phantom.series import ct_datasets, localizer_dataset, write_localizer, write_series
from ml.phantom.template import Template, digest_of_templates, find_templates, load_template

__all__ = [
    "Difficulty",
    "Phantom",
    "Population",
    "Scan",
    "Template",
    "ct_datasets",
    "digest_of_templates",
    "find_templates",
    "load_template",
    "localizer_dataset",
    "make_patient",
    "make_phantom",
    "sample_scan",
    "sample_subtypes",
    "write_localizer",
    "write_series",
]
