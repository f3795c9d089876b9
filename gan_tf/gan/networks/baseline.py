"""The baseline networks of the anime handout (MLDS 2018, HW3-1), with plain ReLU and Keras's default initial weights.

The handout's D ends in a sigmoid (here: the logit) and has no strides (here: stride 2, padding "same"). Its numbers of
channels (G: 128, 64; D: 32, 64, 128, 256) correspond to ``hidden_dim=32``.
"""

import keras

from gan_tf.gan.networks.dcgan import num_upsamplings
from gan_tf.nn.layers import Conv2D, apply_norm, conv_layer


def build_generator(shape: tuple[int, int, int], latent_dim: int, hidden_dim: int, seed: int = 0) -> keras.Model:
    """Builds the network from latents ``[batch, latent_dim]`` to images ``[batch, *shape]`` in [-1, 1].

    Two upsamplings lead from a quarter of the image size to the whole. Arguments and errors are those of
    ``dcgan.build_generator``.
    """
    num_upsamplings(shape[0])  # for its check of the size
    quarter = shape[0] // 4
    kernel_inits = [keras.initializers.GlorotUniform(seed=1000 * seed + i) for i in range(4)]
    latents = keras.Input((latent_dim,), name="latents")
    x = keras.layers.Dense(4 * hidden_dim * quarter**2, activation="relu", kernel_initializer=kernel_inits[0])(latents)
    x = keras.layers.Reshape((quarter, quarter, 4 * hidden_dim))(x)
    for i, width in enumerate((4 * hidden_dim, 2 * hidden_dim), 1):
        x = keras.layers.UpSampling2D()(x)
        x = Conv2D(width, 4, padding="same", activation="relu", kernel_initializer=kernel_inits[i])(x)
    x = Conv2D(shape[2], 4, padding="same", kernel_initializer=kernel_inits[3])(x)
    x = keras.layers.Activation("tanh", dtype="float32")(x)
    return keras.Model(latents, x, name="generator")


def build_discriminator(shape: tuple[int, int, int], hidden_dim: int, norm: str = "none", seed: int = 0) -> keras.Model:
    """Builds the network from images ``[batch, *shape]`` to one logit each, ``[batch, 1]``.

    Arguments and errors are those of ``dcgan.build_discriminator``.
    """
    n = num_upsamplings(shape[0])
    conv = conv_layer(norm)
    images = keras.Input(shape, name="images")
    x = images
    for i in range(n):
        kernel_init = keras.initializers.GlorotUniform(seed=1000 * seed + 100 + i)
        x = conv(hidden_dim * 2**i, 4, 2, "same", kernel_initializer=kernel_init)(x)
        if i > 0:
            x = apply_norm(x, norm)
        x = keras.layers.ReLU()(x)
    # Equals Flatten and Dense(1). As a convolution it is normalized by spectral norm too.
    kernel_init = keras.initializers.GlorotUniform(seed=1000 * seed + 100 + n)
    x = conv(1, 4, 1, "valid", kernel_initializer=kernel_init, dtype="float32")(x)
    return keras.Model(images, keras.layers.Flatten(dtype="float32")(x), name="discriminator")
