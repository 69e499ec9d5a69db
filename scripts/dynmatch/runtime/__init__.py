"""What the library runs on: JAX, devices, processes, and its own source files."""
