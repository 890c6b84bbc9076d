"""The science: volumes, alignment, networks, inference, synthetic heads, training; no network."""
