"""Layers, precision and exponential moving averages, which several families share."""
