"""The seekable stream: a batch is a pure function of (data, seed, step), so that resume is a seek.

Epoch e's order is a permutation keyed by (seed, e) and computed index by index (``RandomIndexShuffle``); sample i of
step n is position ``n * samples_per_step + i`` of the endless sequence of epochs. Nothing has state to save.
"""

from collections.abc import Callable
from typing import Protocol

import tensorflow as tf


class Source(Protocol):
    """What a stream draws from: a fixed number of samples that can be taken by index, in a graph or eagerly."""

    def __len__(self) -> int: ...

    def take(self, indices: tf.Tensor) -> tf.Tensor | dict[str, tf.Tensor]:
        """The samples at ``indices`` (``[n]``, int64), stacked along the first axis: a tensor, or a structure of them."""
        ...


def shuffled(positions: tf.Tensor, count: int, seed: int) -> tf.Tensor:
    """Indices in [0, count) for positions of the endless sequence: each epoch of ``count`` is another permutation.

    Args:
        positions: int64 ``[n]``, from 0.
        count: samples in an epoch.
        seed: of the order, in [0, 2^31).
    """
    positions = tf.cast(positions, tf.int64)
    epochs = positions // count
    # The operation keeps only the lowest bits of each word of its seed (8 where there are up to 65,536 samples), and with
    # its default of 4 rounds the orders of neighbouring epochs correlate (0.9 at 60,000): so mixed words and more rounds.
    mixed = splitmix(splitmix(tf.fill(tf.shape(epochs), tf.constant(seed, tf.uint64))) + tf.cast(epochs, tf.uint64))
    words = [tf.bitwise.bitwise_and(shift(mixed, bits), tf.constant(0x1FFFFF, tf.uint64)) for bits in (0, 21, 42)]
    return tf.raw_ops.RandomIndexShuffle(
        index=positions % count,
        seed=tf.cast(tf.stack(words, axis=1), tf.int64),
        max_index=tf.constant(count - 1, tf.int64),
        rounds=12,
    )


def shift(values: tf.Tensor, bits: int) -> tf.Tensor:
    """``values`` (uint64) moved right by ``bits``."""
    return tf.bitwise.right_shift(values, tf.constant(bits, tf.uint64))


def splitmix(values: tf.Tensor) -> tf.Tensor:
    """A bijection of 64-bit numbers that changes half of the bits where one changes (Steele et al. 2014, SplitMix64)."""
    values += tf.constant(0x9E3779B97F4A7C15, tf.uint64)
    values = tf.bitwise.bitwise_xor(values, shift(values, 30)) * tf.constant(0xBF58476D1CE4E5B9, tf.uint64)
    values = tf.bitwise.bitwise_xor(values, shift(values, 27)) * tf.constant(0x94D049BB133111EB, tf.uint64)
    return tf.bitwise.bitwise_xor(values, shift(values, 31))


def key(seed: int, step: tf.Tensor, purpose: int) -> tf.Tensor:
    """The seed, int64 ``[2]``, of a stateless draw: another one for each (seed, step, purpose).

    Args:
        seed: of the run, in [0, 2^31).
        step: scalar, any integer type.
        purpose: a small number that tells one use of randomness from another, in [0, 64).
    """
    return tf.stack([tf.constant(seed, tf.int64), tf.cast(step, tf.int64) * 64 + purpose])


class Stream:
    """Endless shuffled batches of a source, each with the noise that its step needs.

    Args:
        source: see ``Source``.
        batch: samples along the leading axis of every leaf: the global batch of one update.
        per_step: samples of the source for each place of the batch; leaves of the source come as
            ``[batch, per_step, …]`` (a step with five critic updates needs five real images a place).
        seed: of the order, in [0, 2^31).
        prepare: ``(samples [batch * per_step, …], step) -> samples``, such as scaling and keyed flips.
        draws: ``step -> {name: [batch, …]}``, the keyed noise of a step, merged into the batch.
    """

    def __init__(
        self,
        source: Source,
        batch: int,
        *,
        per_step: int = 1,
        seed: int = 0,
        prepare: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
        draws: Callable[[tf.Tensor], dict[str, tf.Tensor]] | None = None,
    ):
        self.source, self.batch, self.per_step, self.seed = source, batch, per_step, seed
        self.prepare, self.draws = prepare, draws

    def indices(self, step) -> tf.Tensor:
        """Which samples of the source step ``step`` sees, int64 ``[batch * per_step]``."""
        n = self.batch * self.per_step
        return shuffled(tf.cast(step, tf.int64) * n + tf.range(n, dtype=tf.int64), len(self.source), self.seed)

    def at(self, step) -> dict[str, tf.Tensor]:
        """The batch of step ``step`` (from 0): the same whatever ran before. Keys: "real" and those of ``draws``."""
        samples = self.source.take(self.indices(step))
        if self.prepare:
            samples = self.prepare(samples, tf.convert_to_tensor(step))
        real = tf.nest.map_structure(lambda x: tf.reshape(x, [self.batch, self.per_step, *x.shape[1:]]), samples)
        return {"real": real, **(self.draws(tf.convert_to_tensor(step)) if self.draws else {})}

    def dataset(self, first: int, last: int) -> tf.data.Dataset:
        """The batches of steps ``first`` to ``last - 1`` in order, prepared beside the training."""
        steps = tf.data.Dataset.range(first, last)
        return steps.map(self.at, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)
