"""Experiments: each is a command, ``python -m gan_tf.experiments.NAME``, that measures one question and writes it down."""
