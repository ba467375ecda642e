"""What the ledger says beyond single results: templates, frequent weaknesses, what recovery depends on."""
