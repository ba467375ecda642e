"""Floor 1: what is known of systems: topology, past results, beliefs. Injects nothing."""
