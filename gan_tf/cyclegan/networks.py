"""The networks of CycleGAN (Zhu et al. 2017, appendix 7.2), with the sizes and biases of the KAIST AI604 handout's Table 2.

Zero padding is explicit, as in PyTorch: Keras's "same" pads a convolution of stride 2 on other sides. All networks are fully
convolutional: they take images of any size, generators any whose height and width are multiples of 4.
"""

from typing import Any

import keras
import tensorflow as tf

from gan_tf.nn.layers import Conv2D, Conv2DTranspose, InstanceNorm

_CONTRAST = 0.99  # of the images that a change is added to, since atanh(1) is infinite
_BLOCK_SEED, _UP_SEED, _LAST_SEED, _DISCRIMINATOR_SEED = 100, 500, 600, 700  # of the layers' initial weights


@keras.saving.register_keras_serializable("gan_tf")
class ReflectionPad(keras.layers.Layer):
    """Pads images ``[batch, height, width, channels]`` with ``size`` reflected pixels on each side."""

    def __init__(self, size: int, **options: Any):
        super().__init__(**options)
        self.size = size

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        sides = [self.size, self.size]
        return tf.pad(inputs, [[0, 0], sides, sides, [0, 0]], "REFLECT")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, height, width, channels = input_shape
        return (batch, *(None if size is None else size + 2 * self.size for size in (height, width)), channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size}


@keras.saving.register_keras_serializable("gan_tf")
class TanhOfChange(keras.layers.Layer):
    """Computes tanh(change + atanh(0.99 images)): where the change is 0, the images but for 1 % of contrast.

    Called with [change, images], both ``[batch, height, width, channels]``, the images in [-1, 1]; computes in float32.
    """

    def __init__(self, **options: Any):
        super().__init__(**{"dtype": "float32", **options})

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        change, images = inputs
        return tf.tanh(change + tf.atanh(_CONTRAST * images))


@keras.saving.register_keras_serializable("gan_tf")
class FewChannelsConv2D(Conv2D):
    """A convolution of odd kernel and stride 1 without padding to a few channels, for images of even height and width.

    On CPUs it is computed for blocks of 2x2 pixels, which have four times as many channels: three alone leave most of a
    vector unit empty. A kernel for blocks holds the kernel of each of the four pixels.
    """

    def convolution_op(self, inputs: tf.Tensor, kernel: Any) -> tf.Tensor:
        if tf.config.list_logical_devices("GPU"):
            return super().convolution_op(inputs, kernel)
        inputs, kernel = (tf.cast(tf.convert_to_tensor(x), self.compute_dtype) for x in (inputs, kernel))
        size, channels, filters = kernel.shape[0] + 1, kernel.shape[2], kernel.shape[3]
        of_pixels = [tf.pad(kernel, [[i, 1 - i], [j, 1 - j], [0, 0], [0, 0]]) for i in (0, 1) for j in (0, 1)]
        blocks = tf.reshape(tf.stack(of_pixels, axis=3), [size // 2, 2, size // 2, 2, channels, 4 * filters])
        blocks = tf.reshape(tf.transpose(blocks, [0, 2, 1, 3, 4, 5]), [size // 2, size // 2, 4 * channels, 4 * filters])
        outputs = tf.nn.conv2d(tf.nn.space_to_depth(inputs, 2), blocks, 1, "VALID")
        return tf.nn.depth_to_space(outputs, 2)


def build_generator(
    hidden_dim: int = 64,
    num_blocks: int = 6,
    upsample: str = "deconv",
    input_skip: bool = False,
    seed: int = 0,
    name: str = "generator",
) -> keras.Model:
    """Builds the network from images in [-1, 1] to images of the same size in [-1, 1]; 7,837,696 parameters by default.

    Args:
        hidden_dim: channels at the image's own resolution; the residual blocks have four times as many at a quarter of it.
        num_blocks: residual blocks.
        upsample: "deconv" (transposed convolutions, as in the paper) or "resize" (nearest neighbor and a convolution with as
            many weights, Odena et al. 2016: a flat area stays flat, without a checkerboard).
        input_skip: whether the network computes how its input is changed, which is nothing at first, and not the whole image.
        seed: of the initial weights.
        name: of the network.
    """
    images = keras.Input((None, None, 3), name="images")
    x = _norm_relu(_conv(ReflectionPad(3)(images), hidden_dim, 7, seed, 0))
    for i, width in enumerate((2 * hidden_dim, 4 * hidden_dim), 1):
        x = _norm_relu(_conv(keras.layers.ZeroPadding2D(1)(x), width, 3, seed, i, stride=2))
    for i in range(num_blocks):
        x = _residual_block(x, 4 * hidden_dim, seed, _BLOCK_SEED + 2 * i)
    for i, width in enumerate((2 * hidden_dim, hidden_dim)):
        x = _norm_relu(upsample_block(x, width, upsample, seed, _UP_SEED + i))
    last_init = "zeros" if input_skip else _kernel_init(seed, _LAST_SEED)
    x = FewChannelsConv2D(3, 7, use_bias=False, kernel_initializer=last_init)(ReflectionPad(3)(x))
    outputs = TanhOfChange()([x, images]) if input_skip else keras.layers.Activation("tanh", dtype="float32")(x)
    return keras.Model(images, outputs, name=name)


def build_discriminator(hidden_dim: int = 64, seed: int = 0, name: str = "discriminator") -> keras.Model:
    """Builds the PatchGAN from images to one logit for each patch of 70x70 pixels; 2,764,672 parameters by default.

    Args:
        hidden_dim: channels of the first layer.
        seed: of the initial weights.
        name: of the network.

    Returns:
        Images ``[batch, height, width, 3]`` -> logits ``[batch, height / 8 - 2, width / 8 - 2, 1]``, float32.
    """
    images = keras.Input((None, None, 3), name="images")
    x = images
    for i, (factor, stride) in enumerate(((1, 2), (2, 2), (4, 2), (8, 1))):
        index = _DISCRIMINATOR_SEED + i
        x = _conv(keras.layers.ZeroPadding2D(1)(x), factor * hidden_dim, 4, seed, index, stride=stride, use_bias=i > 0)
        x = keras.layers.LeakyReLU(0.2)(InstanceNorm()(x) if i > 0 else x)
    x = keras.layers.ZeroPadding2D(1)(x)
    x = _conv(x, 1, 4, seed, _DISCRIMINATOR_SEED + 4, use_bias=False, dtype="float32")
    return keras.Model(images, x, name=name)


def _residual_block(x: keras.KerasTensor, width: int, seed: int, index: int) -> keras.KerasTensor:
    y = _norm_relu(_conv(ReflectionPad(1)(x), width, 3, seed, index))
    return x + InstanceNorm()(_conv(ReflectionPad(1)(y), width, 3, seed, index + 1))


def upsample_block(x: keras.KerasTensor, width: int, upsample: str, seed: int, index: int) -> keras.KerasTensor:
    """Doubles height and width, by what PyTorch calls kernel 3, stride 2, padding 1, output padding 1, or by resizing.

    Args:
        x: features ``[batch, height, width, channels]``.
        width: channels of the result.
        upsample: see ``build_generator``.
        seed: of the initial weights.
        index: number of the layer, see ``_kernel_init``.
    """
    if upsample == "resize":
        return _conv(ReflectionPad(1)(keras.layers.UpSampling2D(2)(x)), width, 3, seed, index)
    x = Conv2DTranspose(width, 3, 2, "valid", kernel_initializer=_kernel_init(seed, index))(x)
    return keras.layers.Cropping2D(((1, 0), (1, 0)))(x)


def _conv(
    x: keras.KerasTensor, filters: int, kernel_size: int, seed: int, index: int, stride: int = 1, **options: Any
) -> keras.KerasTensor:
    """Applies a convolution without padding; ``options`` are those of the layer."""
    return Conv2D(filters, kernel_size, stride, "valid", kernel_initializer=_kernel_init(seed, index), **options)(x)


def _norm_relu(x: keras.KerasTensor) -> keras.KerasTensor:
    return keras.layers.ReLU()(InstanceNorm()(x))


def _kernel_init(seed: int, index: int) -> keras.initializers.Initializer:
    """Returns N(0, 0.02); another ``index`` gives other random numbers."""
    return keras.initializers.RandomNormal(0.0, 0.02, seed=1000 * seed + index)
