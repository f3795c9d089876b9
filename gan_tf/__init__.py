"""gan_tf: generative models for TensorFlow and Keras 3, from raw files to trained weights, comparable scores and images.

    import gan_tf
    images = gan_tf.load("anime").generate(16, seed=1)   # uint8 [16, 64, 64, 3]

Importing the package alone imports no TensorFlow, so ``--help`` and wrong usage answer at once.
"""

from typing import Any

__version__ = "0.1.0"
__all__ = ["TASKS", "load"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from gan_tf import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
