"""Classifiers of trajectories."""
