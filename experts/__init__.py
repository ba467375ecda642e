"""Floor 2: the council that says what could go wrong. Runs nothing and approves nothing."""
