"""The seekable stream: a batch is a pure function of (data, seed, step), so that resume is a seek.

Epoch e's order of a source is a permutation keyed by (seed, source, e) and computed index by index; sample i of step n is
position ``n * samples_of_a_step + i`` of the endless sequence of epochs. There is no state to save.
"""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from pipelines.randomness import shuffled_indices
from pipelines.source import Source


class Stream:
    """Endless shuffled batches of named sources, with the random inputs that each step needs.

    Each source has its own order and its own pace, so that the pairing of two sources changes from epoch to epoch.

    Args:
        sources: what samples are taken from, by name.
        batch_size: the first axis of every leaf: the global batch of one update.
        samples_per_step: for each source, the number of samples for each element of the batch; 1 by default. The leaves
            are ``[batch_size, samples_per_step, …]``: a step with five critic updates needs five real images per element.
        seed: of the orders, in [0, 2^31).
        prepare: for each source, ``(samples [batch_size * samples_per_step, …], step) -> samples``, such as scaling and
            random flips keyed by the step.
        random_inputs: ``step -> {name: [batch_size, …]}``, the keyed random numbers of a step, merged into the batch.

    Raises:
        ValueError: there are no sources, or another argument names one that is missing.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        batch_size: int,
        *,
        samples_per_step: Mapping[str, int] | None = None,
        seed: int = 0,
        prepare: Mapping[str, Callable[[Any, tf.Tensor], Any]] | None = None,
        random_inputs: Callable[[tf.Tensor], Mapping[str, tf.Tensor]] | None = None,
    ):
        self.sources, self.batch_size, self.seed = dict(sources), batch_size, seed
        self.samples_per_step = dict.fromkeys(sources, 1) | dict(samples_per_step or {})
        self.prepare, self.random_inputs = dict(prepare or {}), random_inputs
        unknown = (self.samples_per_step.keys() | self.prepare.keys()) - self.sources.keys()
        if not sources or unknown:
            raise ValueError(f"sources {list(self.sources)} lack {sorted(unknown)}")

    def indices(self, step: int | tf.Tensor, name: str) -> tf.Tensor:
        """Returns which samples of a source step ``step`` sees, int64 ``[batch_size * samples_per_step]``."""
        count = self.batch_size * self.samples_per_step[name]
        positions = tf.cast(step, tf.int64) * count + tf.range(count, dtype=tf.int64)
        seed = self.seed + (list(self.sources).index(name) << 32)  # one number for each pair, since seeds are below 2^31
        return shuffled_indices(positions, len(self.sources[name]), seed)

    def batch_at(self, step: int | tf.Tensor) -> dict[str, Any]:
        """Returns the batch of step ``step`` (from 0): the same whatever ran before.

        Its keys are the sources' names and those of ``random_inputs``.
        """
        batch: dict[str, Any] = {name: self._samples_at(step, name) for name in self.sources}
        if self.random_inputs is not None:
            batch.update(self.random_inputs(tf.convert_to_tensor(step)))
        return batch

    def dataset(self, first_step: int, last_step: int) -> tf.data.Dataset:
        """Returns the batches of steps ``first_step`` to ``last_step - 1`` in order, prepared in parallel with training."""
        steps = tf.data.Dataset.range(first_step, last_step)
        batches = steps.map(self.batch_at, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        return batches.prefetch(tf.data.AUTOTUNE)

    def _samples_at(self, step: int | tf.Tensor, name: str) -> Any:
        samples = self.sources[name].take(self.indices(step, name))
        if name in self.prepare:
            samples = self.prepare[name](samples, tf.convert_to_tensor(step))
        shape = [self.batch_size, self.samples_per_step[name]]
        return tf.nest.map_structure(lambda leaf: tf.reshape(leaf, [*shape, *leaf.shape[1:]]), samples)
