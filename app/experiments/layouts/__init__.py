"""File names and plate maps: which files belong together, in which well they are, and what that got."""
