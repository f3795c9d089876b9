"""Training: the one loop and what it needs, none of which knows what a GAN is."""
