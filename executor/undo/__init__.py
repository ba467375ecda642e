"""Undoing faults: by the run, the watchdog, ``murphy recover`` and its sweep. Standard library and behaviours only."""
