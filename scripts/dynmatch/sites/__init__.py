"""Sites of coarse-grained trajectories: topology, coordinates, the mapping of atoms onto them."""
