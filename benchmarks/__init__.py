"""Measurements of speed, memory and accuracy; each module is run by itself."""
