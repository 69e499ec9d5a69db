"""Additions as a user makes them: docs/extending.md names the place of each file."""
