"""All-atom simulation with OpenMM."""
