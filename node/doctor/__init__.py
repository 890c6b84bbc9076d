"""``midline doctor``: what is wrong with an installation, and how each of it is mended."""

from node.doctor.examination import CHECKS, examine
from node.doctor.findings import Ailment, Check, Finding, Level

__all__ = ["CHECKS", "Ailment", "Check", "Finding", "Level", "examine"]
