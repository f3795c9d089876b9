"""DCGAN (Radford et al. 2016) for any image size 4 * 2^n: weights from N(0, 0.02), strided convolutions of kernel 4."""

import keras

from gan_tf.nn.layers import Conv2DTranspose, batch_norm, convolution, normalise


def doublings(size: int) -> int:
    """How often 4 must be doubled to give ``size``.

    Raises:
        ValueError: where it can't be.
    """
    n = (size // 4).bit_length() - 1
    if n < 1 or 4 * 2**n != size:
        raise ValueError(f"an image size of 8, 16, 32, 64, … is needed, not {size}")
    return n


def around(mean: float, seed: int, index: int):
    """N(mean, 0.02): kernels around 0, scales of batch norm around 1; another draw for each layer of the same seed."""
    return keras.initializers.RandomNormal(mean, 0.02, seed=1000 * seed + index)


def build_generator(shape: tuple[int, int, int], latent: int, hidden: int, seed: int = 0) -> keras.Model:
    """Noise ``[batch, latent]`` to images ``[batch, *shape]`` in [-1, 1].

    Args:
        shape: height, width and channels of an image; height equals width.
        latent: dimensions of the noise.
        hidden: channels of the last layer but one; 64 is the paper's.
        seed: of the initial weights.
    """
    n = doublings(shape[0])
    noise = keras.Input((latent,), name="noise")
    # A transposed convolution of kernel 4 on a 1x1 image, written as the matrix product that it is.
    x = keras.layers.Dense(16 * hidden * 2 ** (n - 1), use_bias=False, kernel_initializer=around(0.0, seed, 0))(noise)
    x = keras.layers.Reshape((4, 4, hidden * 2 ** (n - 1)))(x)
    x = keras.layers.ReLU()(batch_norm(around(1.0, seed, 50))(x))
    for i in range(1, n):
        width = hidden * 2 ** (n - 1 - i)
        start = around(0.0, seed, i)
        x = Conv2DTranspose(width, 4, 2, "same", use_bias=False, kernel_initializer=start)(x)
        x = keras.layers.ReLU()(batch_norm(around(1.0, seed, 50 + i))(x))
    start = around(0.0, seed, n)
    x = Conv2DTranspose(shape[2], 4, 2, "same", kernel_initializer=start)(x)
    x = keras.layers.Activation("tanh", dtype="float32")(x)
    return keras.Model(noise, x, name="generator")


def build_discriminator(shape: tuple[int, int, int], hidden: int, norm: str = "batch", seed: int = 0) -> keras.Model:
    """Images ``[batch, *shape]`` to one logit each, ``[batch, 1]``.

    Args:
        shape: height, width and channels of an image; height equals width.
        hidden: channels of the first layer; 64 is the paper's.
        norm: see ``layers.normalise``; the first and the last layer have none, as in the paper.
        seed: of the initial weights.
    """
    n = doublings(shape[0])
    conv = convolution(norm)
    images = keras.Input(shape, name="images")
    x = images
    for i in range(n):
        bias = i == 0 or norm in ("none", "spectral")
        start = around(0.0, seed, 100 + i)
        x = conv(hidden * 2**i, 4, 2, "same", use_bias=bias, kernel_initializer=start)(x)
        x = x if i == 0 else normalise(x, norm, around(1.0, seed, 150 + i))
        x = keras.layers.LeakyReLU(0.2)(x)
    x = conv(1, 4, 1, "valid", kernel_initializer=around(0.0, seed, 100 + n), dtype="float32")(x)
    return keras.Model(images, keras.layers.Flatten(dtype="float32")(x), name="discriminator")
