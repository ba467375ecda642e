"""The whole loop on the bundled shop, on its own state, under its own policy."""
