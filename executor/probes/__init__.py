"""How a thing is asked whether it works."""
