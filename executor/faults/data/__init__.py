"""Behaviours of the data layer."""
