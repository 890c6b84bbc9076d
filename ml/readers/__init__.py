"""Readers: from files to a `Volume` in Hounsfield units."""
