"""A liquid of molecules of one or several kinds, simulated with all their atoms."""
