"""The networks of the CIFAR-10 handout (KAIST AI604 2020, HW3, Table 1): DCGANs of 32x32 images without biases.

D has a norm after its first layer too. The table prints a batch norm before G's tanh; the course's own check and the solutions
that it accepted have none there, nor has DCGAN, so it is left out. ``hidden_dim=64`` gives the table's channels.
"""

import keras

from gan_tf.gan.networks import dcgan


def build_generator(shape: tuple[int, int, int], latent_dim: int, hidden_dim: int, seed: int = 0) -> keras.Model:
    """Builds the network from latents to images; arguments and errors are those of ``dcgan.build_generator``."""
    return dcgan.build_generator(shape, latent_dim, hidden_dim, seed, last_bias=False)


def build_discriminator(shape: tuple[int, int, int], hidden_dim: int, norm: str = "batch", seed: int = 0) -> keras.Model:
    """Builds the network from images to logits; arguments and errors are those of ``dcgan.build_discriminator``."""
    return dcgan.build_discriminator(shape, hidden_dim, norm, seed, norm_first=True)
