"""Images as arrays: rows by index, scaling, flips, digests."""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines.errors import UserError, graph_error

_DIGEST_BATCH = 1024


def take_rows(
    rows: Callable[[np.ndarray], np.ndarray], indices: tf.Tensor | np.ndarray | list[int], shape: tuple[int, ...]
) -> tf.Tensor:
    """Returns rows of uint8 NumPy data by index, eagerly or in a graph, which then calls ``rows`` with each batch.

    Data that is captured as a constant is held more than once (measured: 7.9 GB at the peak for 2.4 GB of images).

    Args:
        rows: from indices [n] to uint8 [n, ...].
        indices: integers [n], each in 0 .. shape[0] - 1.
        shape: of the whole data, [rows, ...].

    Raises:
        ValueError: an index is out of range; a graph raises ``tf.errors.InvalidArgumentError``.
        UserError: ``rows`` raises it; a graph raises ``tf.errors.UnknownError``, see ``pipelines.errors.user_error_from``.
    """

    def checked_rows(wanted: np.ndarray) -> np.ndarray:
        if wanted.size and not 0 <= wanted.min() <= wanted.max() < shape[0]:
            raise ValueError(f"indices must be in 0 .. {shape[0] - 1}, not {wanted.min()} .. {wanted.max()}")
        return rows(wanted)

    def rows_in_graph(wanted: np.ndarray) -> np.ndarray:
        try:
            return checked_rows(wanted)
        except UserError as error:
            raise graph_error(error) from error

    if tf.executing_eagerly():
        return tf.convert_to_tensor(checked_rows(np.asarray(indices)))
    indices = tf.convert_to_tensor(indices)
    taken = tf.numpy_function(rows_in_graph, [indices], tf.uint8, stateful=False)
    return tf.ensure_shape(taken, [indices.shape[0], *shape[1:]])


def normalize(images: tf.Tensor | np.ndarray) -> tf.Tensor:
    """Scales uint8 images in [0, 255] to float32 in [-1, 1]: x / 127.5 - 1. Any shape."""
    return tf.cast(images, tf.float32) / 127.5 - 1.0


def random_flip(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Flips each image left to right with probability 1/2.

    Args:
        images: [n, height, width, channels] of any type.
        seed: two integers; the same seed flips the same images, eagerly or in a graph.

    Returns:
        Images of the same shape and type.
    """
    is_flipped = tf.random.stateless_uniform(tf.shape(images)[:1], seed, alg="philox") < 0.5
    # Select copies whole images by a vector of conditions; tf.where would broadcast it to each pixel.
    return tf.raw_ops.Select(condition=is_flipped, x=tf.reverse(images, [2]), y=images)


def random_crop(images: tf.Tensor, size: int, seed: tf.Tensor) -> tf.Tensor:
    """Crops a square out of each image, each at a random place, uniformly among all.

    Args:
        images: [n, height, width, channels] of any type; height and width are at least ``size``.
        size: height and width of the crops.
        seed: two integers; the same seed crops at the same places, eagerly or in a graph.

    Returns:
        [n, size, size, channels] of the same type.
    """
    height, width = images.shape[1:3]
    num_places = tf.constant([height - size + 1, width - size + 1], tf.float32)
    corners = tf.cast(num_places * tf.random.stateless_uniform([tf.shape(images)[0], 2], seed, alg="philox"), tf.int32)
    rows, columns = (corners[:, axis, None] + tf.range(size) for axis in (0, 1))
    cropped = tf.gather(tf.gather(images, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)
    return tf.ensure_shape(cropped, [images.shape[0], size, size, images.shape[3]])


def pixels_sha256(images: Any, labels: np.ndarray | None = None) -> str:
    """Returns SHA-256 (hex) over the shape and the pixels of uint8 images, and over their labels if there are any.

    Args:
        images: an array, or something with the shape and the slices of one; it is read in batches.
        labels: an array, or None.
    """
    digest = hashlib.sha256(repr(tuple(images.shape)).encode())
    for start in range(0, len(images), _DIGEST_BATCH):
        digest.update(np.ascontiguousarray(images[start : start + _DIGEST_BATCH]).data)
    if labels is not None:
        digest.update(np.ascontiguousarray(labels).data)
    return digest.hexdigest()
