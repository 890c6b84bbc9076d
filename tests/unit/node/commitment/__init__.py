"""Tests of storage commitment."""
