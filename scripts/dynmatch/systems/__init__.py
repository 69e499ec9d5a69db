"""Kinds of systems, one folder each."""
