"""The fault proxy: passes everything on an edge unchanged until told otherwise."""
