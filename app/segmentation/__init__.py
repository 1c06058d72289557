"""Predictions to labels: threshold and splitting."""
