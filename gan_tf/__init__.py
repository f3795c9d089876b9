"""gan_tf: generative models for TensorFlow and Keras 3, from raw files to trained weights, comparable scores and pictures.

Importing the package alone imports no TensorFlow, so ``--help`` and wrong usage answer at once.
"""

__version__ = "0.1.0"
