"""Tests against third-party DICOM software and files; they need ../shared."""
