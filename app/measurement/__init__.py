"""Labels and an image to a table, one row a nucleus."""
