"""Trained models as files for other engines."""
