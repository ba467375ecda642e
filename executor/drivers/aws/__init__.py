"""Amazon's machines and its own fault injection."""
