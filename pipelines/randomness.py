"""Stateless randomness: every random number is a pure function of (seed, step, purpose), or of (seed, epoch) for orders.

Nothing here has a state to save, and nothing reads or changes TensorFlow's global generators.
"""

import enum

import tensorflow as tf


class Purpose(enum.IntEnum):
    """What random numbers are used for. Each use has a number of its own in [0, 64), so that no two uses are correlated.

    Trained weights depend on the numbers: add new ones, never change one.
    """

    SAMPLE_LATENTS = 0  # latent vectors of generated images
    FLIP = 1  # which training images are flipped
    TRAIN_LATENTS = 2  # latent vectors of a training step
    INTERPOLATION = 3  # positions between real and generated images, for gradient penalties
    BATCH_NORM_LATENTS = 4  # latent vectors from which batch-norm statistics are recomputed
    AUGMENTATION = 5  # parameters of DiffAugment
    INSTANCE_NOISE = 6  # noise that is added to what a GAN's discriminator sees
    LABELS = 7  # soft and flipped labels of a GAN's discriminator
    AFFINE = 10  # random affine maps of images
    MNISTM_BLEND = 11  # backgrounds that are blended with images as in MNIST-M
    COLOR = 12  # random changes of colors
    TIMESTEP = 20  # timesteps of a diffusion model's training step
    DIFFUSION_NOISE = 21  # noise in the images of a diffusion model's training step
    LABEL_DROP = 22  # which labels are dropped in a diffusion model's training step
    SAMPLE_NOISE = 23  # noise from which a diffusion model generates images
    SOURCE_VIEW = 30  # domain adaptation: changes of labeled images
    WEAK_VIEW = 31  # domain adaptation: small changes of images that pseudo-labels come from
    STRONG_VIEW = 32  # domain adaptation: changes of images that learn from pseudo-labels
    DROPOUT = 33  # which activations are dropped
    CROP_A = 40  # where training images of domain A are cropped
    CROP_B = 41  # the same of domain B
    FLIP_A = 42  # which training images of domain A are flipped
    FLIP_B = 43  # the same of domain B
    IMAGE_POOL = 44  # which earlier fakes discriminators see instead of new ones


def seed_for(seed: int, step: tf.Tensor, purpose: int) -> tf.Tensor:
    """Returns the seed of a stateless operation, int64 ``[2]``: another one for each (seed, step, purpose).

    Args:
        seed: of the run, in [0, 2^31).
        step: scalar, any integer type.
        purpose: a ``Purpose``.
    """
    return tf.stack([tf.constant(seed, tf.int64), tf.cast(step, tf.int64) * 64 + int(purpose)])


def normal(shape: tuple[int, ...], seed: int, step: tf.Tensor, purpose: int) -> tf.Tensor:
    """Returns standard normal numbers, float32 of ``shape``; the other arguments are those of ``seed_for``."""
    return tf.random.stateless_normal(shape, seed=seed_for(seed, step, purpose), alg="philox")


def uniform(shape: tuple[int, ...], seed: int, step: tf.Tensor, purpose: int) -> tf.Tensor:
    """Returns uniform numbers in [0, 1), float32 of ``shape``; the other arguments are those of ``seed_for``."""
    return tf.random.stateless_uniform(shape, seed=seed_for(seed, step, purpose), alg="philox")


def shuffled_indices(positions: tf.Tensor, count: int, seed: int) -> tf.Tensor:
    """Returns indices in [0, count) for positions of an endless sequence of epochs, each of which is another permutation.

    Args:
        positions: int64 ``[n]``, from 0; position ``e * count + i`` is the i-th of epoch e.
        count: samples in an epoch.
        seed: of the order, in [0, 2^64).
    """
    positions = tf.cast(positions, tf.int64)
    epochs = positions // count
    # The operation keeps only the lowest bits of each word of its seed (8 where there are up to 65,536 samples), and with
    # its default of 4 rounds the orders of neighboring epochs correlate (0.9 at 60,000): so mixed words and more rounds.
    mixed = _splitmix(_splitmix(tf.fill(tf.shape(epochs), tf.constant(seed, tf.uint64))) + tf.cast(epochs, tf.uint64))
    words = [tf.bitwise.bitwise_and(_right_shift(mixed, bits), tf.constant(0x1FFFFF, tf.uint64)) for bits in (0, 21, 42)]
    return tf.raw_ops.RandomIndexShuffle(
        index=positions % count,
        seed=tf.cast(tf.stack(words, axis=1), tf.int64),
        max_index=tf.constant(count - 1, tf.int64),
        rounds=12,
    )


def _right_shift(values: tf.Tensor, bits: int) -> tf.Tensor:
    return tf.bitwise.right_shift(values, tf.constant(bits, tf.uint64))


def _splitmix(values: tf.Tensor) -> tf.Tensor:
    """A bijection of uint64 numbers that flips half of the output bits where one input bit flips (Steele et al. 2014)."""
    values += tf.constant(0x9E3779B97F4A7C15, tf.uint64)
    values = tf.bitwise.bitwise_xor(values, _right_shift(values, 30)) * tf.constant(0xBF58476D1CE4E5B9, tf.uint64)
    values = tf.bitwise.bitwise_xor(values, _right_shift(values, 27)) * tf.constant(0x94D049BB133111EB, tf.uint64)
    return tf.bitwise.bitwise_xor(values, _right_shift(values, 31))
