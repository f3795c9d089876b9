"""Pairs of networks: each module has ``build_generator`` and ``build_discriminator``, which return a ``keras.Model``."""
