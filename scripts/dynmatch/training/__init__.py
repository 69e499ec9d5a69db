"""Dynamics matching: the game between a generator of trajectories and a classifier."""
