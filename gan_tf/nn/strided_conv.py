"""Convolutions of kernel 4 and stride 2, whose kernel gradient is four matrix products instead of oneDNN's own operation.

In bfloat16 on CPUs that operation is slow where pictures are small and channels many, and the products are fast there
(``benchmarks/train_step.py`` measures the whole step). The three functions are
each other's derivatives, so any order of gradient, as penalties need, stays among them.
"""

import tensorflow as tf


@tf.custom_gradient
def convolve(images: tf.Tensor, kernel: tf.Tensor):
    """``tf.nn.conv2d(images, kernel, 2, "SAME")`` with a kernel ``[4, 4, in, out]`` and images of even size."""
    return tf.nn.conv2d(images, kernel, 2, "SAME"), lambda g: (transpose(g, kernel), kernel_gradient(images, g))


@tf.custom_gradient
def transpose(images: tf.Tensor, kernel: tf.Tensor):
    """The transposed convolution: ``[batch, h, w, out]`` with a kernel ``[4, 4, in, out]`` to ``[batch, 2h, 2w, in]``."""
    batch, (height, width, channels) = tf.shape(images)[0], (2 * images.shape[1], 2 * images.shape[2], kernel.shape[2])
    outputs = tf.nn.conv2d_transpose(images, kernel, [batch, height, width, channels], 2, "SAME")
    outputs = tf.ensure_shape(outputs, [images.shape[0], height, width, channels])
    return outputs, lambda g: (convolve(g, kernel), kernel_gradient(g, images))


@tf.custom_gradient
def kernel_gradient(images: tf.Tensor, outputs: tf.Tensor):
    """The gradient of ``sum(outputs * convolve(images, kernel))`` by the kernel, which is bilinear in both.

    Args:
        images: ``[batch, 2h, 2w, in]``.
        outputs: ``[batch, h, w, out]``.

    Returns:
        ``[4, 4, in, out]``.
    """
    (height, width, out), channels = outputs.shape[1:], images.shape[3]
    # Blocks of 2x2 pixels as channels turn stride 2 and kernel 4 into stride 1 and kernel 2: four shifts in all.
    blocks = tf.nn.space_to_depth(tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]]), 2)
    rows = tf.reshape(outputs, [-1, out])
    shifts = [blocks[:, i : i + height, j : j + width] for i in (0, 1) for j in (0, 1)]
    products = [tf.matmul(tf.reshape(shift, [-1, 4 * channels]), rows, transpose_a=True) for shift in shifts]
    kernel = tf.reshape(tf.stack(products), [2, 2, 2, 2, channels, out])  # block row and column, then within a block
    kernel = tf.reshape(tf.transpose(kernel, [0, 2, 1, 3, 4, 5]), [4, 4, channels, out])
    return kernel, lambda g: (transpose(outputs, g), convolve(images, g))


def is_faster(size: int, channels: int, dtype: str) -> bool:
    """Whether the products beat oneDNN (measured with AMX units; GPUs have cuDNN).

    Args:
        size: height of the smaller of the two images.
        channels: of the larger of the two images.
        dtype: the one convolutions compute in.
    """
    return dtype == "bfloat16" and size <= 8 and channels >= 64 and not tf.config.list_logical_devices("GPU")
