"""Color images as one gray channel in which the stroke is bright, whatever its color and that of the background."""

import tensorflow as tf

_LEAST_DEVIATION = 0.03  # of pixels in [0, 1]: images with less contrast are not amplified to full contrast


def stroke_images(images: tf.Tensor) -> tf.Tensor:
    """Projects each image on the color axis along which its pixels vary most, and standardizes the result.

    The axis is the first eigenvector of the covariance of an image's own pixels; its sign is the one with which the third
    moment of the projection is positive, so that the smaller part of the pixels, the stroke, is bright. An image depends
    on no other one.

    Args:
        images: uint8 or float ``[n, height, width, 3]``, in [0, 255].

    Returns:
        float32 ``[n, height, width, 1]``: each image with mean 0 and a deviation of s / (s + 0.03), s being that of its
        projection with pixels in [0, 1].
    """
    n, (height, width, channels) = tf.shape(images)[0], images.shape[1:]
    pixels = tf.reshape(tf.cast(images, tf.float32) / 255.0, [n, height * width, channels])
    pixels -= tf.reduce_mean(pixels, axis=1, keepdims=True)
    covariance = tf.matmul(pixels, pixels, transpose_a=True) / (height * width)
    axis = tf.linalg.eigh(covariance)[1][:, :, -1:]  # eigenvalues ascend
    projection = tf.matmul(pixels, axis)
    skewness = tf.reduce_mean(projection**3, axis=1, keepdims=True)
    projection = tf.where(skewness < 0.0, -projection, projection)
    deviation = tf.math.reduce_std(projection, axis=1, keepdims=True)
    return tf.reshape(projection / (deviation + _LEAST_DEVIATION), [n, height, width, 1])
