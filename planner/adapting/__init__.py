"""What past results ask to be tried next, as experiments and not as sentences only."""
