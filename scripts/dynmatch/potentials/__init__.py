"""Potentials of sites, each a sum of terms."""
