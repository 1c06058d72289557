"""Labels against a ground truth: scores."""
