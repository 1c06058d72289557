"""What a report draws: one small module for each kind of figure; matplotlib's objects only, nothing of pyplot."""
