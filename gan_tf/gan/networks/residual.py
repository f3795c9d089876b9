"""Residual networks for CPUs that compute at up to a quarter of the image size: bottleneck blocks and pixel shuffles.

G's blocks are those of SNGAN's residual networks (Miyato et al. 2018, appendix B: activation before convolution, nearest
upsampling, batch norm) with the bottleneck of He et al. 2016 and BigGAN-deep (Brock et al. 2019, appendix B): a 3x3
convolution with half of the channels costs a quarter, and the two additional 1x1 convolutions cost little. D's blocks
combine DCGAN's strided convolution of kernel 4, a narrower 3x3 convolution and an average-pooled shortcut.
"""

import keras

from gan_tf.nn.layers import Conv2D, apply_norm, batch_norm, conv_layer

# Variance of a kernel times its fan-in: after a ReLU (He et al. 2015), and after a linear layer (LeCun et al. 1998).
_AFTER_RELU, _LINEAR = 2.0, 1.0
# The last convolution of a residual branch starts with a tenth of He's standard deviation, so that each block starts close
# to its shortcut. Fixup (Zhang et al. 2019) and R3GAN (Huang et al. 2024) start with zero, but then the other convolutions
# of the branch have no gradient in the first step.
_END_OF_BRANCH = 0.01 * _AFTER_RELU
# The convolution before tanh: the first generated images are gray with little contrast, as DCGAN's are.
_BEFORE_TANH = 0.05 * _AFTER_RELU


def num_blocks(image_size: int) -> int:
    """Returns how many blocks lead from 4x4 to a quarter of ``image_size``; each doubles the size.

    Raises:
        ValueError: the size is not 16, 32, 64, …
    """
    n = (image_size // 16).bit_length() - 1
    if n < 0 or 16 * 2**n != image_size:
        raise ValueError(f"residual networks need an image size of 16, 32, 64, 128, …, not {image_size}")
    return n


def num_channels(hidden_dim: int, num_halvings: int) -> int:
    """Returns the number of channels at a quarter of the image size (``num_halvings`` 0: 4 * hidden_dim) and below (8 * …)."""
    return hidden_dim * min(4 * 2**num_halvings, 8)


def scaled_init(variance: float, seed: int, index: int) -> keras.initializers.Initializer:
    """Returns truncated normal kernels of ``variance`` / fan-in. Another ``index`` gives other random numbers."""
    return keras.initializers.VarianceScaling(variance, "fan_in", "truncated_normal", seed=1000 * seed + index)


def depth_to_space(x: keras.KerasTensor) -> keras.KerasTensor:
    """Applies a pixel shuffle (Shi et al. 2016) made of Keras layers: ``[batch, n, n, 4 * c] -> [batch, 2 * n, 2 * n, c]``."""
    n, c = x.shape[1], x.shape[3] // 4
    x = keras.layers.Permute((1, 3, 2, 4, 5))(keras.layers.Reshape((n, n, 2, 2, c))(x))
    return keras.layers.Reshape((2 * n, 2 * n, c))(x)


def space_to_depth(x: keras.KerasTensor) -> keras.KerasTensor:
    """Applies the inverse of ``depth_to_space``: ``[batch, 2 * n, 2 * n, c] -> [batch, n, n, 4 * c]``."""
    n, c = x.shape[1] // 2, x.shape[3]
    x = keras.layers.Permute((1, 3, 2, 4, 5))(keras.layers.Reshape((n, 2, n, 2, c))(x))
    return keras.layers.Reshape((n, n, 4 * c))(x)


def icnr_init(layer: Conv2D) -> None:
    """Initializes a convolution before ``depth_to_space`` so that its result has no checkerboard (ICNR, Aitken et al. 2017).

    The kernels of the four pixels that ``depth_to_space`` places next to each other start equal. They are assigned after
    building, because a custom initializer in a layer's config would keep others from loading the network.
    """
    kernel = layer.kernel.value[..., : layer.filters // 4]
    layer.kernel.assign(keras.ops.tile(kernel, (1, 1, 1, 4)))


def upsample_block(x: keras.KerasTensor, width: int, seed: int, index: int) -> keras.KerasTensor:
    """Applies a residual block of G: ``[batch, n, n, c] -> [batch, 2 * n, 2 * n, width]``."""
    inner_width = max(width // 2, 1)

    def norm_relu(x: keras.KerasTensor) -> keras.KerasTensor:
        return keras.layers.ReLU()(batch_norm()(x))

    def conv(filters: int, kernel_size: int, kernel_init: keras.initializers.Initializer, use_bias: bool = False) -> Conv2D:
        return Conv2D(filters, kernel_size, padding="same", use_bias=use_bias, kernel_initializer=kernel_init)

    branch = conv(inner_width, 1, scaled_init(_AFTER_RELU, seed, index))(norm_relu(x))
    branch = keras.layers.UpSampling2D()(norm_relu(branch))
    branch = conv(inner_width, 3, scaled_init(_AFTER_RELU, seed, index + 1))(branch)
    # One bias suffices: batch norm follows the other convolutions of the branch, and the shortcut is added.
    branch = conv(width, 1, scaled_init(_END_OF_BRANCH, seed, index + 2), use_bias=True)(norm_relu(branch))
    if x.shape[-1] != width:
        # A 1x1 convolution and nearest upsampling commute; before the upsampling it costs a quarter.
        x = conv(width, 1, scaled_init(_LINEAR, seed, index + 3))(x)
    return keras.layers.Add()([keras.layers.UpSampling2D()(x), branch])


def downsample_block(
    x: keras.KerasTensor, width: int, norm: str, seed: int, index: int, is_first: bool = False
) -> keras.KerasTensor:
    """Applies a residual block of D: ``[batch, 2 * n, 2 * n, c] -> [batch, n, n, width]``; the first has no norm before it."""
    # With three eighths of the channels, the network at 64x64 costs as much as DCGAN.
    inner_width = max(3 * x.shape[-1] // 8, 1)
    conv, use_bias = conv_layer(norm), norm in ("none", "spectral")
    branch = keras.layers.LeakyReLU(0.2)(x if is_first else apply_norm(x, norm))
    kernel_init = scaled_init(_AFTER_RELU, seed, index)
    branch = conv(inner_width, 4, 2, "same", use_bias=use_bias, kernel_initializer=kernel_init)(branch)
    branch = keras.layers.LeakyReLU(0.2)(apply_norm(branch, norm))
    # Spectral norm divides the small scale out again; it then only makes the kernel's direction change faster.
    branch = conv(width, 3, 1, "same", kernel_initializer=scaled_init(_END_OF_BRANCH, seed, index + 1))(branch)
    x = keras.layers.AveragePooling2D(2)(x)
    if x.shape[-1] != width:
        x = conv(width, 1, 1, "same", use_bias=False, kernel_initializer=scaled_init(_LINEAR, seed, index + 2))(x)
    return keras.layers.Add()([x, branch])


def build_generator(shape: tuple[int, int, int], latent_dim: int, hidden_dim: int, seed: int = 0) -> keras.Model:
    """Builds the network from latents ``[batch, latent_dim]`` to images ``[batch, *shape]`` in [-1, 1].

    Args:
        shape: height, width and channels of an image; height equals width, 16 * 2^n.
        latent_dim: dimensions of the latent vector.
        hidden_dim: sets the number of channels: 4 * hidden_dim at a quarter of the size, 8 * hidden_dim below, half of
            hidden_dim at half the size.
        seed: of the initial weights.

    Raises:
        ValueError: the image size is not supported.
    """
    n = num_blocks(shape[0])
    latents = keras.Input((latent_dim,), name="latents")
    width = num_channels(hidden_dim, n)
    x = keras.layers.Dense(16 * width, kernel_initializer=scaled_init(_LINEAR, seed, 0))(latents)
    x = keras.layers.Reshape((4, 4, width))(x)
    for i in reversed(range(n)):
        x = upsample_block(x, num_channels(hidden_dim, i), seed, 10 + 10 * i)
    # A single pixel shuffle by 4 left visible patches. Two by 2 have a convolution between them that crosses their borders.
    # There is no convolution at the full size: one of 32 to 32 channels would double the cost of a 64x64 network.
    half_size_width = max(hidden_dim // 2, 1)
    to_half_size = Conv2D(4 * half_size_width, 1, use_bias=False, kernel_initializer=scaled_init(_AFTER_RELU, seed, 1))
    # Batch norm follows this convolution, where there are half as many channels; before it, it took longer than a 3x3 one.
    x = keras.layers.ReLU()(depth_to_space(batch_norm()(to_half_size(keras.layers.ReLU()(x)))))
    kernel_init = scaled_init(_AFTER_RELU, seed, 2)
    x = Conv2D(half_size_width, 3, padding="same", activation="relu", kernel_initializer=kernel_init)(x)
    to_full_size = Conv2D(4 * shape[2], 3, padding="same", kernel_initializer=scaled_init(_BEFORE_TANH, seed, 3))
    x = keras.layers.Activation("tanh", dtype="float32")(depth_to_space(to_full_size(x)))
    icnr_init(to_half_size)
    icnr_init(to_full_size)
    return keras.Model(latents, x, name="generator")


def build_discriminator(shape: tuple[int, int, int], hidden_dim: int, norm: str = "spectral", seed: int = 0) -> keras.Model:
    """Builds the network from images ``[batch, *shape]`` to one logit each, ``[batch, 1]``.

    Args:
        shape: height, width and channels of an image; height equals width, 16 * 2^n.
        hidden_dim: channels at half the size, as in DCGAN; four times as many at a quarter, eight times as many below.
        norm: see ``layers.apply_norm``; before each activation of the blocks except the very first.
        seed: of the initial weights.

    Raises:
        ValueError: the image size is not supported.
    """
    n = num_blocks(shape[0])
    conv = conv_layer(norm)
    images = keras.Input(shape, name="images")
    # A strided convolution first, as in DCGAN: its windows overlap, those of space_to_depth do not.
    x = conv(hidden_dim, 4, 2, "same", kernel_initializer=scaled_init(_LINEAR, seed, 100))(images)
    x = space_to_depth(x)
    for i in range(1, n + 1):
        x = downsample_block(x, num_channels(hidden_dim, i), norm, seed, 100 + 10 * i, is_first=i == 1)
    # Pooled with one weight per position, because faces are aligned; as a convolution it is normalized by spectral norm too.
    x = keras.layers.LeakyReLU(0.2)(x)
    x = conv(1, 4, 1, "valid", kernel_initializer=scaled_init(_LINEAR, seed, 101), dtype="float32")(x)
    return keras.Model(images, keras.layers.Flatten(dtype="float32")(x), name="discriminator")
