"""Observables of site trajectories, the same code for projected all-atom and coarse-grained ones.

Each one is averaged over time blocks, a tenth of a replica each; a block in a replica is a sample.
"""
