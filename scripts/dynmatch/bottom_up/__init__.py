"""Structural coarse-graining: potentials whose structure or forces are those of a reference."""
