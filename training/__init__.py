"""Trains the networks and exports them with their cards. `python -m training --help` lists the commands."""
