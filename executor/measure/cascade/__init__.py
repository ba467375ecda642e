"""How a failure spread from what was struck to those who call it. Pure: the same records, the same cascade."""
