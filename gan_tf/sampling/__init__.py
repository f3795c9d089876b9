"""Sampling: noise and walks, whole chunks of one size, grids of pictures."""
