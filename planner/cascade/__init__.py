"""Cascades: which experiments show how far a failure spreads, how far it should, and how far it did."""
