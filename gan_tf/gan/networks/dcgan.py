"""DCGAN (Radford et al. 2016) for image sizes 4 * 2^n: convolutions of kernel 4 and stride 2, weights from N(0, 0.02)."""

import keras

from gan_tf.nn.layers import Conv2DTranspose, apply_norm, batch_norm, conv_layer


def num_upsamplings(image_size: int) -> int:
    """Returns how often a 4x4 image must be doubled in size to reach ``image_size``.

    Raises:
        ValueError: the size is not 8, 16, 32, …
    """
    n = (image_size // 4).bit_length() - 1
    if n < 1 or 4 * 2**n != image_size:
        raise ValueError(f"the image size must be 8, 16, 32, 64, …, not {image_size}")
    return n


def normal_init(mean: float, seed: int, index: int) -> keras.initializers.Initializer:
    """Returns N(mean, 0.02); mean 0 for kernels, 1 for batch norm's scales. Another ``index`` gives other random numbers."""
    return keras.initializers.RandomNormal(mean, 0.02, seed=1000 * seed + index)


def build_generator(
    shape: tuple[int, int, int], latent_dim: int, hidden_dim: int, seed: int = 0, last_bias: bool = True
) -> keras.Model:
    """Builds the network from latents ``[batch, latent_dim]`` to images ``[batch, *shape]`` in [-1, 1].

    Args:
        shape: height, width and channels of an image; height equals width.
        latent_dim: dimensions of the latent vector.
        hidden_dim: channels of the last hidden layer; 64 in the paper.
        seed: of the initial weights.
        last_bias: whether the last layer has a bias; the others, which are normalized, have none.

    Raises:
        ValueError: the image size is not supported.
    """
    n = num_upsamplings(shape[0])
    latents = keras.Input((latent_dim,), name="latents")
    # Equals the paper's transposed convolution of kernel 4 on a 1x1 image.
    kernel_init = normal_init(0.0, seed, 0)
    x = keras.layers.Dense(16 * hidden_dim * 2 ** (n - 1), use_bias=False, kernel_initializer=kernel_init)(latents)
    x = keras.layers.Reshape((4, 4, hidden_dim * 2 ** (n - 1)))(x)
    x = keras.layers.ReLU()(batch_norm(normal_init(1.0, seed, 50))(x))
    for i in range(1, n):
        width = hidden_dim * 2 ** (n - 1 - i)
        kernel_init = normal_init(0.0, seed, i)
        x = Conv2DTranspose(width, 4, 2, "same", use_bias=False, kernel_initializer=kernel_init)(x)
        x = keras.layers.ReLU()(batch_norm(normal_init(1.0, seed, 50 + i))(x))
    kernel_init = normal_init(0.0, seed, n)
    x = Conv2DTranspose(shape[2], 4, 2, "same", use_bias=last_bias, kernel_initializer=kernel_init)(x)
    x = keras.layers.Activation("tanh", dtype="float32")(x)
    return keras.Model(latents, x, name="generator")


def build_discriminator(
    shape: tuple[int, int, int], hidden_dim: int, norm: str = "batch", seed: int = 0, norm_first: bool = False
) -> keras.Model:
    """Builds the network from images ``[batch, *shape]`` to one logit each, ``[batch, 1]``.

    Args:
        shape: height, width and channels of an image; height equals width.
        hidden_dim: channels of the first layer; 64 in the paper.
        norm: see ``layers.apply_norm``; the first and the last layer have none, as in the paper.
        seed: of the initial weights.
        norm_first: whether the first layer is normalized too, and the last one has no bias either.

    Raises:
        ValueError: the image size is not supported.
    """
    n = num_upsamplings(shape[0])
    conv = conv_layer(norm)
    images = keras.Input(shape, name="images")
    x = images
    for i in range(n):
        is_normalized = i > 0 or norm_first
        use_bias = not is_normalized or norm in ("none", "spectral")
        kernel_init = normal_init(0.0, seed, 100 + i)
        x = conv(hidden_dim * 2**i, 4, 2, "same", use_bias=use_bias, kernel_initializer=kernel_init)(x)
        if is_normalized:
            x = apply_norm(x, norm, normal_init(1.0, seed, 150 + i))
        x = keras.layers.LeakyReLU(0.2)(x)
    kernel_init = normal_init(0.0, seed, 100 + n)
    x = conv(1, 4, 1, "valid", use_bias=not norm_first, kernel_initializer=kernel_init, dtype="float32")(x)
    return keras.Model(images, keras.layers.Flatten(dtype="float32")(x), name="discriminator")
