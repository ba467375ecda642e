"""Documents that people have written of their systems: runbooks, postmortems, architecture notes."""
