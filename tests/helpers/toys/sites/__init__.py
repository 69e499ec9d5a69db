"""Trajectories of sites that there are already."""
