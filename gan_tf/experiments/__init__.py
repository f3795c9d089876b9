"""Experiments: each is a command, ``python -m gan_tf.experiments.NAME``, that answers one question by measuring."""
