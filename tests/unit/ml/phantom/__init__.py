"""Tests of synthetic heads."""
