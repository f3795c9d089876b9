"""Training: the loop and what it needs, for any model family."""
