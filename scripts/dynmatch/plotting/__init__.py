"""Figures, drawn from the tables of the results tree and written as PDF and PNG."""
