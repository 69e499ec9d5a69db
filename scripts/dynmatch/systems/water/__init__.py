"""Liquid water."""
