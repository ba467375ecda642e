"""The same systems as real processes on this machine, small ones, for the real executor."""
