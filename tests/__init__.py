"""Tests: unit, integration, acceptance, and against third-party software."""
