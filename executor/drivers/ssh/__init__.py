"""Processes of other machines, by OpenSSH."""
