"""A residual pair that works at a quarter of the image's size, for CPUs: bottleneck blocks, pixel shuffles at both ends.

G's blocks are those of SNGAN's residual networks (Miyato et al. 2018, appendix B: activation before convolution, nearest
upsampling, batch norm) with the bottleneck of He et al. 2016 and BigGAN-deep (Brock et al. 2019, appendix B): a 3x3
convolution costs a quarter on half the channels, and the two 1x1 ones that this takes are cheap. D's take DCGAN's strided
convolution of kernel 4 into a narrower 3x3 one, around a pooled shortcut.
"""

import keras

from gan_tf.nn.layers import Conv2D, batch_norm, convolution, normalise

# Variance of a kernel times its fan-in: He et al. 2015 after a ReLU, LeCun's where nothing was cut off.
AFTER_RELU, LINEAR = 2.0, 1.0
# A block begins near its shortcut: its last convolution at a tenth of He's deviation. Fixup (Zhang et al. 2019) and R3GAN
# (Huang et al. 2024) take zero, so that the first step gives the convolutions before it no gradient; a tenth gives all some.
BRANCH = 0.01 * AFTER_RELU
# Of the convolution before tanh: the first pictures are a quiet grey, as DCGAN's are.
PICTURE = 0.05 * AFTER_RELU


def stages(size: int) -> int:
    """How often 16 must be doubled to give ``size``: the number of blocks, for they lead from 4x4 to a quarter of it.

    Raises:
        ValueError: where it can't be.
    """
    n = (size // 16).bit_length() - 1
    if n < 0 or 16 * 2**n != size:
        raise ValueError(f"residual networks need an image size of 16, 32, 64, 128, …, not {size}")
    return n


def channels(hidden: int, halvings: int) -> int:
    """Of maps a quarter of the image's size, halved so often: 4 * hidden (``hidden`` at half the size, shuffled), then 8."""
    return hidden * min(4 * 2**halvings, 8)


def scaled(variance: float, seed: int, index: int):
    """Truncated normal kernels of ``variance`` / fan-in; another draw for each layer of the same seed."""
    return keras.initializers.VarianceScaling(variance, "fan_in", "truncated_normal", seed=1000 * seed + index)


def to_space(x):
    """Pixel shuffle (Shi et al. 2016): ``[batch, n, n, 4 * c]`` to ``[batch, 2 * n, 2 * n, c]``, of layers that Keras has."""
    n, c = x.shape[1], x.shape[3] // 4
    x = keras.layers.Permute((1, 3, 2, 4, 5))(keras.layers.Reshape((n, n, 2, 2, c))(x))
    return keras.layers.Reshape((2 * n, 2 * n, c))(x)


def to_depth(x):
    """The way back: ``[batch, 2 * n, 2 * n, c]`` to ``[batch, n, n, 4 * c]``; no pixel is lost."""
    n, c = x.shape[1] // 2, x.shape[3]
    x = keras.layers.Permute((1, 3, 2, 4, 5))(keras.layers.Reshape((n, 2, n, 2, c))(x))
    return keras.layers.Reshape((n, n, 4 * c))(x)


def start_alike(shuffled: Conv2D) -> None:
    """ICNR (Aitken et al. 2017): the four kernels that ``to_space`` lays side by side begin as one, so without a checkerboard.

    Assigned after building: an initialiser of our own in a layer's config would keep others from loading the network.
    """
    one = shuffled.kernel.value[..., : shuffled.filters // 4]
    shuffled.kernel.assign(keras.ops.tile(one, (1, 1, 1, 4)))


def up(x, width: int, seed: int, index: int):
    """A block of G that doubles the size: ``[batch, n, n, c]`` to ``[batch, 2 * n, 2 * n, width]``."""
    inner = max(width // 2, 1)

    def conv(filters, size, variance, k, x):
        # Batch norm follows the first two; the last has the one bias of the sum.
        start = scaled(variance, seed, index + k)
        return Conv2D(filters, size, padding="same", use_bias=k == 2, kernel_initializer=start)(x)

    branch = conv(inner, 1, AFTER_RELU, 0, keras.layers.ReLU()(batch_norm()(x)))
    branch = keras.layers.UpSampling2D()(keras.layers.ReLU()(batch_norm()(branch)))
    branch = conv(inner, 3, AFTER_RELU, 1, branch)
    branch = conv(width, 1, BRANCH, 2, keras.layers.ReLU()(batch_norm()(branch)))
    # A 1x1 convolution and a nearest upsampling commute, and before it costs a quarter.
    x = x if x.shape[-1] == width else conv(width, 1, LINEAR, 3, x)
    return keras.layers.Add()([keras.layers.UpSampling2D()(x), branch])


def down(x, width: int, norm: str, seed: int, index: int, first: bool = False):
    """A block of D that halves the size: ``[batch, 2 * n, 2 * n, c]`` to ``[batch, n, n, width]``; ``norm`` but where first."""
    # Three eighths: at 64x64 the network then costs what DCGAN's does. A strided convolution where SNGAN pools.
    inner = max(3 * x.shape[-1] // 8, 1)
    layer, bias = convolution(norm), norm in ("none", "spectral")

    def start(variance, k):
        return scaled(variance, seed, index + k)

    branch = keras.layers.LeakyReLU(0.2)(x if first else normalise(x, norm))
    branch = layer(inner, 4, 2, "same", use_bias=bias, kernel_initializer=start(AFTER_RELU, 0))(branch)
    branch = keras.layers.LeakyReLU(0.2)(normalise(branch, norm))
    # Spectral norm divides the small scale out again; there it only lets the kernel turn faster.
    branch = layer(width, 3, 1, "same", kernel_initializer=start(BRANCH, 1))(branch)
    x = keras.layers.AveragePooling2D(2)(x)
    if x.shape[-1] != width:
        x = layer(width, 1, 1, "same", use_bias=False, kernel_initializer=start(LINEAR, 2))(x)
    return keras.layers.Add()([x, branch])


def build_generator(shape: tuple[int, int, int], latent: int, hidden: int, seed: int = 0) -> keras.Model:
    """Noise ``[batch, latent]`` to images ``[batch, *shape]`` in [-1, 1].

    Args:
        shape: height, width and channels of an image; height equals width, 16 * 2^n.
        latent: dimensions of the noise.
        hidden: a quarter of the channels at a quarter of the size, an eighth of those below; the head has half of it.
        seed: of the initial weights.

    Raises:
        ValueError: for another size.
    """
    n = stages(shape[0])
    noise = keras.Input((latent,), name="noise")
    width = channels(hidden, n)
    x = keras.layers.Dense(16 * width, kernel_initializer=scaled(LINEAR, seed, 0))(noise)
    x = keras.layers.Reshape((4, 4, width))(x)
    for i in reversed(range(n)):
        x = up(x, channels(hidden, i), seed, 10 + 10 * i)
    # A single shuffle by 4 showed its patches: two by 2, and between them convolutions that see across their borders.
    # At the full size there is none: 32 to 32 channels there would cost as much as all the rest of a 64x64 network.
    light = max(hidden // 2, 1)
    first = Conv2D(4 * light, 1, use_bias=False, kernel_initializer=scaled(AFTER_RELU, seed, 1))
    # Batch norm after it, on half the channels: before it, it took longer than a 3x3 convolution there.
    x = keras.layers.ReLU()(to_space(batch_norm()(first(keras.layers.ReLU()(x)))))
    x = Conv2D(light, 3, padding="same", activation="relu", kernel_initializer=scaled(AFTER_RELU, seed, 2))(x)
    last = Conv2D(4 * shape[2], 3, padding="same", kernel_initializer=scaled(PICTURE, seed, 3))
    x = keras.layers.Activation("tanh", dtype="float32")(to_space(last(x)))
    for shuffled in (first, last):
        start_alike(shuffled)
    return keras.Model(noise, x, name="generator")


def build_discriminator(shape: tuple[int, int, int], hidden: int, norm: str = "spectral", seed: int = 0) -> keras.Model:
    """Images ``[batch, *shape]`` to one logit each, ``[batch, 1]``.

    Args:
        shape: height, width and channels of an image; height equals width, 16 * 2^n.
        hidden: channels at half the size, as in DCGAN; four times as many at a quarter, eight times as many below.
        norm: see ``layers.normalise``; before each activation of the blocks but the very first.
        seed: of the initial weights.

    Raises:
        ValueError: for another size.
    """
    n = stages(shape[0])
    layer = convolution(norm)
    images = keras.Input(shape, name="images")
    # Overlapping windows as DCGAN's, then patches of 2x2 of them: each is seen whole, none by itself.
    x = to_depth(layer(hidden, 4, 2, "same", kernel_initializer=scaled(LINEAR, seed, 100))(images))
    for i in range(1, n + 1):
        x = down(x, channels(hidden, i), norm, seed, 100 + 10 * i, first=i == 1)
    # Pooled with a weight for each place, for faces are aligned; a convolution, so that spectral norm reaches it too.
    x = keras.layers.LeakyReLU(0.2)(x)
    x = layer(1, 4, 1, "valid", kernel_initializer=scaled(LINEAR, seed, 101), dtype="float32")(x)
    return keras.Model(images, keras.layers.Flatten(dtype="float32")(x), name="discriminator")
