"""Tests of the command line without a running node."""
