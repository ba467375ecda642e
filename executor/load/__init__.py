"""Load: requests in open loop, sent by a process of its own that says what it could not do."""
