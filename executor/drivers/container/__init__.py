"""Containers, by their engine."""
