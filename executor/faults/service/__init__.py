"""Behaviours of the service layer."""
