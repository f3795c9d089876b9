"""Layers, precision and averaging of weights: what several families share."""
