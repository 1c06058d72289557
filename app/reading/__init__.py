"""Bytes to an image, and what its file says of itself."""
