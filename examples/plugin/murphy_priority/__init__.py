"""A fault of another package: resource.priority."""
