"""Fully connected networks, to compare convolutions with (the bonus of the MNIST handout, THU 2021).

A fully connected layer is written as a convolution of kernel 1 on an image of one pixel, so that the same norms apply.
"""

import math

import keras

from gan_tf.gan.networks.dcgan import normal_init
from gan_tf.nn.layers import Conv2D, apply_norm, batch_norm, conv_layer

_WIDTHS = (1, 2, 4)  # times hidden_dim, from the latent vector to the image


def build_generator(shape: tuple[int, int, int], latent_dim: int, hidden_dim: int, seed: int = 0) -> keras.Model:
    """Builds the network from latents ``[batch, latent_dim]`` to images ``[batch, *shape]`` in [-1, 1].

    Args:
        shape: height, width and channels of an image.
        latent_dim: dimensions of the latent vector.
        hidden_dim: units of the first hidden layer; the next two have twice and four times as many.
        seed: of the initial weights.
    """
    latents = keras.Input((latent_dim,), name="latents")
    x = keras.layers.Reshape((1, 1, latent_dim))(latents)
    for i, multiplier in enumerate(_WIDTHS):
        x = Conv2D(multiplier * hidden_dim, 1, use_bias=False, kernel_initializer=normal_init(0.0, seed, i))(x)
        x = keras.layers.ReLU()(batch_norm(normal_init(1.0, seed, 50 + i))(x))
    x = Conv2D(math.prod(shape), 1, kernel_initializer=normal_init(0.0, seed, len(_WIDTHS)))(x)
    x = keras.layers.Activation("tanh", dtype="float32")(keras.layers.Reshape(shape)(x))
    return keras.Model(latents, x, name="generator")


def build_discriminator(shape: tuple[int, int, int], hidden_dim: int, norm: str = "none", seed: int = 0) -> keras.Model:
    """Builds the network from images ``[batch, *shape]`` to one logit each, ``[batch, 1]``.

    Args:
        shape: height, width and channels of an image.
        hidden_dim: units of the last hidden layer; the two before have twice and four times as many.
        norm: see ``layers.apply_norm``; the first layer has none.
        seed: of the initial weights.
    """
    conv = conv_layer(norm)
    images = keras.Input(shape, name="images")
    x = keras.layers.Reshape((1, 1, math.prod(shape)))(images)
    for i, multiplier in enumerate(reversed(_WIDTHS)):
        use_bias = i == 0 or norm in ("none", "spectral")
        x = conv(multiplier * hidden_dim, 1, use_bias=use_bias, kernel_initializer=normal_init(0.0, seed, 100 + i))(x)
        if i > 0:
            x = apply_norm(x, norm, normal_init(1.0, seed, 150 + i))
        x = keras.layers.LeakyReLU(0.2)(x)
    x = conv(1, 1, kernel_initializer=normal_init(0.0, seed, 100 + len(_WIDTHS)), dtype="float32")(x)
    return keras.Model(images, keras.layers.Flatten(dtype="float32")(x), name="discriminator")
