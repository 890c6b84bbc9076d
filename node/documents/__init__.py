"""Documents made from the code's own tables, so that they cannot say what the code does not do."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from node.documents.air import air_capabilities
from node.documents.conformance import conformance_statement
from node.documents.site import Site, default_settings

DOCUMENTS: Mapping[str, Callable[[Site], str]] = MappingProxyType(
    {
        "conformance.md": conformance_statement,
        "air-capabilities.md": air_capabilities,
    }
)
"""What makes each of the documents in ``docs``."""

__all__ = ["DOCUMENTS", "Site", "air_capabilities", "conformance_statement", "default_settings"]
