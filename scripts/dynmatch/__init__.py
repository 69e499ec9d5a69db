"""Dynamics matching: coarse-grained models trained adversarially on all-atom trajectories.

Method: Y. Wang and G. A. Voth, arXiv:2504.06505 (2025).
Units throughout: nm, ps, amu, kJ/mol, K.
"""
