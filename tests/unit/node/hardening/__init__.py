"""Tests of what closes the holes of pynetdicom."""
