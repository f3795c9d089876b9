"""Generative adversarial networks: configuration, losses, penalties, networks, model and workflow."""
