"""Metrics as pure NumPy functions of features."""
