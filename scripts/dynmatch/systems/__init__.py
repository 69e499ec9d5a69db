"""Kinds of systems, one folder each; `registry` knows their names."""
