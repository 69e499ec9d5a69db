"""Fluids of known potential and dynamics."""
