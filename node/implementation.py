"""How this implementation names itself to others (PS3.7 D.3.3.2, PS3.10 7.1)."""

IMPLEMENTATION_CLASS_UID = "2.25.101883782064236503069247169894843487628"
"""Implementation Class UID (0002,0012) of associations, and of the files that the node writes."""
IMPLEMENTATION_VERSION_NAME = "MIDLINE"
"""Implementation Version Name (0002,0013)."""
CONTRIBUTION = "AI analysis for intracranial haemorrhage"
"""Contribution Description (0018,A003) of every object: tells it from others whoever a site says
that its manufacturer is. It never changes: objects of earlier versions are known by it."""
