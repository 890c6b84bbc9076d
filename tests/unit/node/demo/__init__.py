"""Tests of the demo without a running node."""
