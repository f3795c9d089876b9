"""The baseline pair of the anime handout (MLDS 2018, HW3-1): upsampling G, strided D, plain ReLU, Keras's own initial weights.

The handout gives a sigmoid at D's end (here: the logit) and no strides for D (here: 2, padding "same"). The widths
printed there (128, 64; 32, 64, 128, 256) are those of ``hidden=32``.
"""

import keras

from gan_tf.gan.networks.dcgan import doublings
from gan_tf.nn.layers import Conv2D, convolution, normalise


def build_generator(shape: tuple[int, int, int], latent: int, hidden: int, seed: int = 0) -> keras.Model:
    """Noise ``[batch, latent]`` to images ``[batch, *shape]`` in [-1, 1]; two upsamplings from a quarter of the size."""
    doublings(shape[0])
    quarter = shape[0] // 4
    start = [keras.initializers.GlorotUniform(seed=1000 * seed + i) for i in range(4)]
    noise = keras.Input((latent,), name="noise")
    x = keras.layers.Dense(4 * hidden * quarter**2, activation="relu", kernel_initializer=start[0])(noise)
    x = keras.layers.Reshape((quarter, quarter, 4 * hidden))(x)
    for i, width in enumerate((4 * hidden, 2 * hidden), 1):
        x = keras.layers.UpSampling2D()(x)
        x = Conv2D(width, 4, padding="same", activation="relu", kernel_initializer=start[i])(x)
    x = Conv2D(shape[2], 4, padding="same", kernel_initializer=start[3])(x)
    x = keras.layers.Activation("tanh", dtype="float32")(x)
    return keras.Model(noise, x, name="generator")


def build_discriminator(shape: tuple[int, int, int], hidden: int, norm: str = "none", seed: int = 0) -> keras.Model:
    """Images ``[batch, *shape]`` to one logit each, ``[batch, 1]``; ``norm`` as in ``layers.normalise``."""
    n = doublings(shape[0])
    conv = convolution(norm)
    images = keras.Input(shape, name="images")
    x = images
    for i in range(n):
        start = keras.initializers.GlorotUniform(seed=1000 * seed + 100 + i)
        x = conv(hidden * 2**i, 4, 2, "same", kernel_initializer=start)(x)
        x = keras.layers.ReLU()(normalise(x, norm) if i else x)
    # Flatten and Dense(1), written as a convolution that covers the whole map, so that spectral norm reaches it too.
    start = keras.initializers.GlorotUniform(seed=1000 * seed + 100 + n)
    x = conv(1, 4, 1, "valid", kernel_initializer=start, dtype="float32")(x)
    return keras.Model(images, keras.layers.Flatten(dtype="float32")(x), name="discriminator")
