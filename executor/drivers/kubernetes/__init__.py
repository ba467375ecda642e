"""Pods, by the API server of their cluster."""
