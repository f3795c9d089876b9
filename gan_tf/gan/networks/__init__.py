"""Pairs of generator and discriminator: ``build_*`` functions that return a ``keras.Model``."""
