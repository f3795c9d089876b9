"""The U-Net that predicts the noise in an image (Ho et al. 2020, appendix B), arranged so that CPUs compute it fast.

Blocks of 2x2 pixels become channels at the input and pixels again at the output (space_to_depth and depth_to_space), so
that the largest convolutions see half the height and width. There are two levels: ``hidden_dim`` channels at half the
image's size, twice as many with self-attention at a quarter. Activations are normalized by their root mean square over the
channels (Zhang and Sennrich 2019), which costs less than group norm; embeddings of the timestep and the label scale and
shift the result (Dhariwal and Nichol 2021, section 3).
"""

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gan_tf.nn.layers import Conv2D

_EMBEDDING_FACTOR = 4  # channels of the embedding, as a multiple of ``hidden_dim``
_HEAD_CHANNELS = 32  # of attention
_MAX_PERIOD = 10_000.0
_NUM_FREQUENCIES = 64


@keras.saving.register_keras_serializable("gan_tf")
class TimestepEmbedding(keras.layers.Layer):
    """Cosines and sines of timesteps ``[batch]`` at frequencies from 1 to 1/10,000 (Vaswani et al. 2017), ``[batch, 128]``."""

    def call(self, timesteps: tf.Tensor) -> tf.Tensor:
        frequencies = np.exp(-np.log(_MAX_PERIOD) * np.arange(_NUM_FREQUENCIES) / _NUM_FREQUENCIES)
        angles = tf.cast(timesteps, tf.float32)[:, None] * tf.constant(frequencies, tf.float32)
        return tf.concat([tf.cos(angles), tf.sin(angles)], axis=-1)


@keras.saving.register_keras_serializable("gan_tf")
class ModulatedRMSNorm(keras.layers.Layer):
    """x / rms(x) · (1 + scale) + shift for images ``[batch, h, w, c]`` and modulations ``[batch, 2c]``, in float32 inside."""

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        images, modulation = tf.cast(inputs[0], tf.float32), tf.cast(inputs[1], tf.float32)
        scale, shift = tf.split(modulation[:, None, None, :], 2, axis=-1)
        inverse_rms = tf.math.rsqrt(tf.reduce_mean(tf.square(images), axis=-1, keepdims=True) + 1e-6)
        return tf.cast(images * inverse_rms * (1.0 + scale) + shift, self.compute_dtype)


@keras.saving.register_keras_serializable("gan_tf")
class SelfAttention(keras.layers.Layer):
    """Attention between the pixels of an image: queries, keys and values ``[batch, h, w, 3c]`` -> ``[batch, h, w, c]``."""

    def __init__(self, heads: int, **words: Any):
        super().__init__(**words)
        self.heads = heads

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        _, height, width, channels = inputs.shape
        depth = channels // (3 * self.heads)
        parts = tf.reshape(inputs, [-1, height * width, 3, self.heads, depth])
        query, key, value = tf.unstack(tf.transpose(parts, [2, 0, 3, 1, 4]))  # each [batch, heads, pixels, depth]
        logits = tf.matmul(query, key, transpose_b=True)
        weights = tf.nn.softmax(tf.cast(logits, tf.float32) * depth**-0.5)
        outputs = tf.transpose(tf.matmul(tf.cast(weights, value.dtype), value), [0, 2, 1, 3])
        return tf.reshape(outputs, [-1, height, width, channels // 3])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"heads": self.heads}


@keras.saving.register_keras_serializable("gan_tf")
class Rearrange(keras.layers.Layer):
    """``tf.nn.space_to_depth`` of blocks of 2x2 pixels, or with ``inverse`` ``tf.nn.depth_to_space``."""

    def __init__(self, inverse: bool = False, **words: Any):
        super().__init__(**words)
        self.inverse = inverse

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.nn.depth_to_space(inputs, 2) if self.inverse else tf.nn.space_to_depth(inputs, 2)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"inverse": self.inverse}


class _Builder:
    """Adds layers whose initial weights depend on the seed and on how many layers there are before.

    Args:
        seeds: of the initial weights, one for each layer.
        embedding: of timestep and label, ``[batch, d]``.
    """

    def __init__(self, seeds: Iterator[int], embedding: keras.KerasTensor):
        self.seeds, self.embedding = seeds, embedding

    def conv(self, x: keras.KerasTensor, filters: int, size: int, zeros: bool = False, **words: Any) -> keras.KerasTensor:
        """Adds a convolution; with ``zeros`` its kernel is 0 at first."""
        initializer = "zeros" if zeros else keras.initializers.GlorotUniform(next(self.seeds))
        return Conv2D(filters, size, 1, "same", kernel_initializer=initializer, **words)(x)

    def norm(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """Adds a norm whose scale and shift are linear in the embedding, and 1 and 0 at first."""
        modulation = keras.layers.Dense(2 * x.shape[-1], kernel_initializer="zeros", dtype="float32")(self.embedding)
        return ModulatedRMSNorm()([x, modulation])

    def residual_block(self, x: keras.KerasTensor, channels: int) -> keras.KerasTensor:
        """Adds two convolutions of kernel 3 beside a shortcut, which is a convolution of kernel 1 where channels change."""
        h = self.conv(keras.layers.Activation("silu")(self.norm(x)), channels, 3)
        h = self.conv(keras.layers.Activation("silu")(h), channels, 3, zeros=True)
        return keras.layers.Add()([x if x.shape[-1] == channels else self.conv(x, channels, 1), h])

    def attention_block(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """Adds self-attention beside a shortcut."""
        channels = x.shape[-1]
        heads = max(1, channels // _HEAD_CHANNELS)
        h = SelfAttention(heads)(self.conv(self.norm(x), 3 * channels, 1, use_bias=False))
        return keras.layers.Add()([x, self.conv(h, channels, 1, zeros=True)])


def build_unet(shape: tuple[int, int, int], hidden_dim: int, blocks: int, classes: int, seed: int = 0) -> keras.Model:
    """Builds the network.

    Args:
        shape: height, width and channels of an image; height and width are multiples of 4.
        hidden_dim: channels at half the image's size.
        blocks: residual blocks at a quarter of the image's size.
        classes: number of labels; label ``classes`` means none.
        seed: of the initial weights.

    Returns:
        A model of images x_t ``[batch, *shape]``, timesteps ``[batch]`` (integers) and labels ``[batch]`` (integers in
        0 .. classes) with the prediction as its output, ``[batch, *shape]``, float32; 0 at first.

    Raises:
        ValueError: height or width is not a multiple of 4.
    """
    if shape[0] % 4 or shape[1] % 4:
        raise ValueError(f"a size of {shape[0]}x{shape[1]} pixels cannot be halved twice")
    images = keras.Input(shape, name="images")
    timesteps = keras.Input((), dtype="int32", name="timesteps")
    labels = keras.Input((), dtype="int32", name="labels")
    seeds = itertools.count(1000 * seed)
    builder = _Builder(seeds, _embed(timesteps, labels, _EMBEDDING_FACTOR * hidden_dim, classes, seeds))

    x = builder.conv(Rearrange()(images), hidden_dim, 3)
    skips = [x]
    x = builder.residual_block(x, hidden_dim)
    skips.append(x)
    x = builder.conv(Rearrange()(x), 2 * hidden_dim, 1)
    for block in range(blocks):
        x = builder.residual_block(x, 2 * hidden_dim)
        if block == blocks - 1:
            x = builder.attention_block(x)
    x = Rearrange(inverse=True)(builder.conv(x, 4 * hidden_dim, 1))
    x = builder.residual_block(keras.layers.Concatenate()([x, *skips]), hidden_dim)
    x = keras.layers.Activation("silu")(builder.norm(x))
    x = builder.conv(x, 4 * shape[2], 3, zeros=True, dtype="float32")
    outputs = Rearrange(inverse=True, dtype="float32")(x)
    return keras.Model([images, timesteps, labels], outputs, name="unet")


def _embed(
    timesteps: keras.KerasTensor, labels: keras.KerasTensor, channels: int, classes: int, seeds: Iterator[int]
) -> keras.KerasTensor:
    """Adds the sum of the embeddings of timestep and label, in float32, ``[batch, channels]``."""

    def dense(x: keras.KerasTensor, initializer: Any, **words: Any) -> keras.KerasTensor:
        return keras.layers.Dense(channels, kernel_initializer=initializer(seed=next(seeds)), dtype="float32", **words)(x)

    glorot, normal = keras.initializers.GlorotUniform, partial(keras.initializers.RandomNormal, stddev=1.0)
    time = dense(dense(TimestepEmbedding(dtype="float32")(timesteps), glorot, activation="silu"), glorot)
    # A product with one-hot vectors: an embedding layer's gradients are sparse, which training does not expect.
    label = dense(keras.ops.one_hot(labels, classes + 1, dtype="float32"), normal, use_bias=False)
    return keras.layers.Activation("silu", dtype="float32")(keras.layers.Add(dtype="float32")([time, label]))
