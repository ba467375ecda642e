"""The steps of the planning graph, one file each."""
