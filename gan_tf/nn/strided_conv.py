"""Convolutions of kernel 4 and stride 2 whose kernel gradient is computed as four matrix products.

In bfloat16 on CPUs, oneDNN's own kernel gradient is slow for small images with many channels, where matrix products are
fast (``benchmarks/train_step.py`` measures the whole step). The three functions are each other's derivatives, so
gradients of any order, which gradient penalties need, are computed with them too.
"""

from collections.abc import Callable

import tensorflow as tf

GradientFunction = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


@tf.custom_gradient
def conv2d(images: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, GradientFunction]:
    """Computes ``tf.nn.conv2d(images, kernel, 2, "SAME")`` for a kernel ``[4, 4, in, out]`` and images of even size."""
    return tf.nn.conv2d(images, kernel, 2, "SAME"), lambda g: (conv2d_transpose(g, kernel), kernel_gradient(images, g))


@tf.custom_gradient
def conv2d_transpose(images: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, GradientFunction]:
    """Computes the transposed convolution of images ``[batch, h, w, out]`` with a kernel ``[4, 4, in, out]``.

    Returns:
        ``[batch, 2h, 2w, in]``.
    """
    batch, (height, width, channels) = tf.shape(images)[0], (2 * images.shape[1], 2 * images.shape[2], kernel.shape[2])
    outputs = tf.nn.conv2d_transpose(images, kernel, [batch, height, width, channels], 2, "SAME")
    outputs = tf.ensure_shape(outputs, [images.shape[0], height, width, channels])
    return outputs, lambda g: (conv2d(g, kernel), kernel_gradient(g, images))


@tf.custom_gradient
def kernel_gradient(images: tf.Tensor, outputs: tf.Tensor) -> tuple[tf.Tensor, GradientFunction]:
    """Computes the gradient of ``sum(outputs * conv2d(images, kernel))`` by the kernel; it is bilinear in both arguments.

    Args:
        images: ``[batch, 2h, 2w, in]``.
        outputs: ``[batch, h, w, out]``.

    Returns:
        ``[4, 4, in, out]``.
    """
    (height, width, out), channels = outputs.shape[1:], images.shape[3]
    # With blocks of 2x2 pixels as channels, stride 2 and kernel 4 become stride 1 and kernel 2, which has four offsets.
    blocks = tf.nn.space_to_depth(tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]]), 2)
    rows = tf.reshape(outputs, [-1, out])
    shifted = [blocks[:, i : i + height, j : j + width] for i in (0, 1) for j in (0, 1)]
    products = [tf.matmul(tf.reshape(x, [-1, 4 * channels]), rows, transpose_a=True) for x in shifted]
    kernel = tf.reshape(tf.stack(products), [2, 2, 2, 2, channels, out])  # row and column of the block, then within it
    kernel = tf.reshape(tf.transpose(kernel, [0, 2, 1, 3, 4, 5]), [4, 4, channels, out])
    return kernel, lambda g: (conv2d_transpose(outputs, g), conv2d(images, g))


def is_faster(size: int, channels: int, dtype: str) -> bool:
    """Returns whether the matrix products are faster than oneDNN (measured with AMX units; GPUs use cuDNN).

    Args:
        size: height of the smaller of the two images.
        channels: channels of the larger of the two images.
        dtype: what the convolution computes in.
    """
    return dtype == "bfloat16" and size <= 8 and channels >= 64 and not tf.config.list_logical_devices("GPU")
