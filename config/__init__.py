"""The ground: errors, settings and logging; imports nothing else of ours."""
