"""Breaking Murphy on purpose: runs against a small system of our own are killed at every moment, and nothing may stay.

Imports nothing above the executor, and strikes nothing but processes that it has started itself.
"""
