"""How faults are made and undone: one behaviour a file, found through the registry."""
