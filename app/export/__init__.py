"""A result to files that other programs open."""
