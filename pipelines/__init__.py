"""Data on its way in: files on disk become uint8 or float arrays, and those a seekable ``tf.data`` stream.

This room imports nothing of ``gan_tf``; it can be used on its own.
"""
