"""Resilience validators: which properties that resilience is made of a system has shown. Pure, one file each."""
