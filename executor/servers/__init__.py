"""Servers that faults talk to: databases, caches, queues, balancers, and the settings that services read."""
