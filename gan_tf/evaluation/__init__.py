"""Scores that can be compared: FID, KID, precision, recall, Inception Score and the judges, each with its protocol.

Importing this room imports no TensorFlow; only ``features.py`` and ``inception.py`` need it, when they are called.
"""
