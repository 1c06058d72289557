"""A folder that an instrument writes to, sent to an experiment of a service elsewhere."""
