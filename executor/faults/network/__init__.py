"""Behaviours of the network layer."""
