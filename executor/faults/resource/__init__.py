"""Behaviours of the resource layer."""
