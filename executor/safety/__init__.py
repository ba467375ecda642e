"""What must be true before, during and after a run."""
