"""The murphy command, one file a command family."""
