"""Scores that can be compared: FID, KID, precision, recall, Inception Score and detectors, each with its protocol."""
