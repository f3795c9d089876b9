"""From files on disk to uint8 or float arrays, and from these to a seekable ``tf.data`` stream.

This package imports nothing of ``gan_tf`` and can be used on its own.
"""
