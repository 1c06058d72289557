"""Many images: what belongs together, what has become of each, and the tables that come of all."""
