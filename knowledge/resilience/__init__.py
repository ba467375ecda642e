"""How resilient a system has shown itself to be, in one run and over many."""
