"""Trajectories of the user's own."""
