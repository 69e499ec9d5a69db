"""Long runs of trained models, and their energies and forces."""
