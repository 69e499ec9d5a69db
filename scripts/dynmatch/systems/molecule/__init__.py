"""One molecule in a solvent."""
