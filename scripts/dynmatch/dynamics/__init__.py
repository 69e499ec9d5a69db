"""Equations of motion, one file each, and windows of trajectory."""
