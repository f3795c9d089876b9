"""Options that change any pair of networks: dropout and the last activation of G, the activations and downsampling of D.

They rebuild a network from its own layers, so that a network's module says nothing of them and its initial weights stay.
"""

import statistics
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from gan_tf.gan.config import GanConfig
from gan_tf.nn.layers import Conv2D

_POOL = 2  # height and width that a maximum is taken over, in place of a stride


@keras.saving.register_keras_serializable("gan_tf")
class ChannelDropout(keras.layers.Layer):
    """Drops channels by noise that is an input, in training and in inference alike (tip 17 of Chintala et al. 2016).

    The other channels are divided by the fraction that is kept (Srivastava et al. 2014). The call takes activations
    ``[batch, …, channels]`` and noise ``[batch, channels]``; channels whose noise is above ``threshold`` are kept.

    Args:
        rate: the fraction that is dropped, in [0, 1).
        threshold: the quantile of the noise at ``rate``.
    """

    def __init__(self, rate: float, threshold: float, **options: Any):
        super().__init__(**options)
        self.rate, self.threshold = rate, threshold

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        activations, noise = inputs
        kept = tf.cast(noise > self.threshold, activations.dtype) / (1.0 - self.rate)
        shape = [-1, *[1] * (len(activations.shape) - 2), activations.shape[-1]]
        return activations * tf.reshape(kept, shape)

    def compute_output_shape(self, input_shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        return input_shapes[0]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"rate": self.rate, "threshold": self.threshold}


def apply_generator_options(generator: keras.Model, config: GanConfig) -> keras.Model:
    """Returns the generator with the dropout and the last activation of ``config``; itself where they are the default.

    With dropout its input is ``[batch, latent_dim + dropped channels]``: the additional latents decide what is dropped.
    Its images are in [-1, 1], whatever the activation.

    Raises:
        ValueError: dropout in a generator with fewer than two ReLU layers.
    """
    if config.dropout:
        generator = _with_dropout(generator, config)
    if config.output == "sigmoid":
        generator = _with_sigmoid(generator)
    return generator


def apply_discriminator_options(discriminator: keras.Model, config: GanConfig) -> keras.Model:
    """Returns the discriminator with the options of ``config``, whose images are in [-1, 1]; itself with the defaults."""
    if config.d_activation == "relu":
        discriminator = _rebuild(discriminator, replace=_leaky_to_plain_relu)
    if config.d_downsample == "max-pool":
        discriminator = _with_max_pooling(discriminator)
    if config.output == "sigmoid":  # then images are not normalized to [-1, 1] either: it sees them in [0, 1]
        discriminator = _rebuild(discriminator, transform_input=keras.layers.Rescaling(0.5, 0.5, dtype="float32"))
    return discriminator


def _with_dropout(generator: keras.Model, config: GanConfig) -> keras.Model:
    """Returns a generator with dropout after each of its ReLU layers but the last, which is nearest to the image."""
    dropped = [layer for layer in generator.layers if isinstance(layer, keras.layers.ReLU)][:-1]
    if not dropped:
        raise ValueError(f"{generator.name} has fewer than two ReLU layers for dropout")
    rate, latent_dim = config.dropout, config.latent_dim
    is_normal = config.latent_distribution == "normal"
    threshold = statistics.NormalDist().inv_cdf(rate) if is_normal else 2 * rate - 1
    latents = keras.Input((latent_dim + sum(layer.output.shape[-1] for layer in dropped),), name="latents")
    noise, start = {}, latent_dim
    for layer in dropped:
        end = start + layer.output.shape[-1]
        noise[layer.name] = latents[:, start:end]
        start = end

    def drop(layer: keras.layers.Layer, outputs: keras.KerasTensor) -> keras.KerasTensor:
        return ChannelDropout(rate, threshold)([outputs, noise[layer.name]]) if layer.name in noise else outputs

    return _rebuild(generator, latents, transform_input=lambda inputs: inputs[:, :latent_dim], transform_output=drop)


def _with_sigmoid(generator: keras.Model) -> keras.Model:
    """Returns a generator with a sigmoid for its last layer, tanh."""
    last = generator.layers[-1]

    def replace(layer: keras.layers.Layer) -> keras.layers.Layer:
        return keras.layers.Activation("sigmoid", dtype="float32") if layer is last else layer

    def to_images(layer: keras.layers.Layer, outputs: keras.KerasTensor) -> keras.KerasTensor:
        is_sigmoid = isinstance(layer, keras.layers.Activation) and layer.activation is keras.activations.sigmoid
        return keras.layers.Rescaling(2.0, -1.0, dtype="float32")(outputs) if is_sigmoid else outputs

    return _rebuild(generator, replace=replace, transform_output=to_images)


def _leaky_to_plain_relu(layer: keras.layers.Layer) -> keras.layers.Layer:
    return keras.layers.ReLU() if isinstance(layer, keras.layers.LeakyReLU) else layer


def _with_max_pooling(discriminator: keras.Model) -> keras.Model:
    """Returns a discriminator whose strided convolutions have stride 1 and a max pooling after them."""
    pooled: set[str] = set()

    def replace(layer: keras.layers.Layer) -> keras.layers.Layer:
        if not (isinstance(layer, Conv2D) and layer.strides == (_POOL, _POOL)):
            return layer
        pooled.add(layer.name)
        return type(layer).from_config({**layer.get_config(), "strides": (1, 1)})

    def pool(layer: keras.layers.Layer, outputs: keras.KerasTensor) -> keras.KerasTensor:
        return keras.layers.MaxPooling2D(_POOL)(outputs) if layer.name in pooled else outputs

    return _rebuild(discriminator, replace=replace, transform_output=pool)


def _keep(layer: keras.layers.Layer) -> keras.layers.Layer:
    return layer


def _keep_output(layer: keras.layers.Layer, outputs: keras.KerasTensor) -> keras.KerasTensor:
    return outputs


def _rebuild(
    network: keras.Model,
    inputs: keras.KerasTensor | None = None,
    *,
    replace: Callable[[keras.layers.Layer], keras.layers.Layer] = _keep,
    transform_input: Callable[[keras.KerasTensor], keras.KerasTensor] | None = None,
    transform_output: Callable[[keras.layers.Layer, keras.KerasTensor], keras.KerasTensor] = _keep_output,
) -> keras.Model:
    """Returns a network of the same layers, except for what the functions change.

    Args:
        network: a functional model with one input.
        inputs: a new ``keras.Input``; None takes one of the same shape.
        replace: from a layer to what takes its place.
        transform_input: what the layers that read the input get instead; None leaves it as it is.
        transform_output: what follows on a layer, called with the layer and its output.
    """
    inputs = keras.Input(network.input_shape[1:], name=network.input.name) if inputs is None else inputs
    transformed = inputs if transform_input is None else transform_input(inputs)

    def call(layer: keras.layers.Layer, *arguments: Any, **options: Any) -> keras.KerasTensor:
        arguments = keras.tree.map_structure(lambda x: transformed if x is inputs else x, arguments)
        return transform_output(layer, layer(*arguments, **options))

    return keras.models.clone_model(network, inputs, clone_function=replace, call_function=call)
