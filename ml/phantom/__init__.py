"""Synthetic head CT with the five subtypes of intracranial haemorrhage and their true masks."""

from ml.phantom.lesions import sample_subtypes
from ml.phantom.phantom import Phantom, make_phantom
from ml.phantom.pose import Scan, sample_scan

__all__ = ["Phantom", "Scan", "make_phantom", "sample_scan", "sample_subtypes"]
