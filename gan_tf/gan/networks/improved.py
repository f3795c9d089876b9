"""DCGAN whose generator is self-modulated (Chen et al. 2019, "On Self Modulation for Generative Adversarial Networks").

The latent vector decides not only the first layer: in each layer a small network maps it to a scale and an offset of every
channel, after batch norm. This costs little time, since it works on vectors, not on images. D is DCGAN's.
"""

import keras

from gan_tf.gan.networks import dcgan
from gan_tf.gan.networks.dcgan import normal_init, num_upsamplings
from gan_tf.nn.layers import Conv2DTranspose, batch_norm

_MODULATION_UNITS = 32  # of the hidden layer from the latent vector to scales and offsets, as in the paper

build_discriminator = dcgan.build_discriminator


def build_generator(shape: tuple[int, int, int], latent_dim: int, hidden_dim: int, seed: int = 0) -> keras.Model:
    """Builds the network from latents to images; arguments and errors are those of ``dcgan.build_generator``."""
    n = num_upsamplings(shape[0])
    latents = keras.Input((latent_dim,), name="latents")
    kernel_init = normal_init(0.0, seed, 0)
    x = keras.layers.Dense(16 * hidden_dim * 2 ** (n - 1), use_bias=False, kernel_initializer=kernel_init)(latents)
    x = keras.layers.Reshape((4, 4, hidden_dim * 2 ** (n - 1)))(x)
    x = keras.layers.ReLU()(modulate(batch_norm(normal_init(1.0, seed, 50))(x), latents, seed, 0))
    for i in range(1, n):
        width = hidden_dim * 2 ** (n - 1 - i)
        kernel_init = normal_init(0.0, seed, i)
        x = Conv2DTranspose(width, 4, 2, "same", use_bias=False, kernel_initializer=kernel_init)(x)
        x = keras.layers.ReLU()(modulate(batch_norm(normal_init(1.0, seed, 50 + i))(x), latents, seed, i))
    kernel_init = normal_init(0.0, seed, n)
    x = Conv2DTranspose(shape[2], 4, 2, "same", kernel_initializer=kernel_init)(x)
    x = keras.layers.Activation("tanh", dtype="float32")(x)
    return keras.Model(latents, x, name="generator")


def modulate(x: keras.KerasTensor, latents: keras.KerasTensor, seed: int, index: int) -> keras.KerasTensor:
    """Scales and shifts each channel as the latent vectors say: x * (1 + scale(z)) + offset(z).

    Args:
        x: activations ``[batch, height, width, channels]``.
        latents: ``[batch, latent_dim]``.
        seed: of the initial weights, with which scale and offset are close to 0.
        index: of the layer; another one gives other random numbers.
    """
    channels = x.shape[-1]
    kernel_init = keras.initializers.GlorotUniform(seed=1000 * seed + 200 + index)
    hidden = keras.layers.Dense(_MODULATION_UNITS, activation="relu", kernel_initializer=kernel_init)(latents)
    scale = keras.layers.Dense(channels, kernel_initializer=normal_init(0.0, seed, 300 + index))(hidden)
    offset = keras.layers.Dense(channels, kernel_initializer=normal_init(0.0, seed, 400 + index))(hidden)
    scaled = keras.layers.Multiply()([x, keras.layers.Reshape((1, 1, channels))(scale)])
    return keras.layers.Add()([x, scaled, keras.layers.Reshape((1, 1, channels))(offset)])
