"""Constants in the unit system nm, ps, amu, kJ/mol, K.

In these units energy = amu nm^2/ps^2 = kJ/mol, so no conversion factor enters the dynamics.
"""

BOLTZMANN = 0.00831446261815324
"""Boltzmann constant, kJ/mol/K (CODATA 2018, exact product of kB and the Avogadro constant)."""

AMU_PER_NM3 = 1.66053906660e-3
"""Mass density of 1 amu/nm^3 in g/cm^3."""
