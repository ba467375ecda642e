"""How a hypothesis about each weakness is judged: which checks, criteria, edges and times. One table, small recipes."""
