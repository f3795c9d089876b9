"""A classifier: softmax cross entropy with label smoothing (Szegedy et al. 2016, section 7), and an averaged network."""

from collections.abc import Iterable

import keras
import tensorflow as tf

from gan_tf.nn import ema
from gan_tf.options import ReaderSettings
from gan_tf.training.finite_check import apply_gradients, checked


def cross_entropy(labels: tf.Tensor, logits: tf.Tensor, smoothing: float = 0.0) -> tf.Tensor:
    """-sum_k q_k log softmax(logits)_k for each sample, ``[batch]``; q is 1 - smoothing + smoothing/K at the label.

    Args:
        labels: integers ``[batch]``.
        logits: ``[batch, K]``.
        smoothing: share of the label that is spread over all K classes, its own included.

    Raises:
        ValueError: where the shapes don't belong together.
    """
    if labels.shape.rank != 1 or logits.shape.rank != 2 or not labels.shape.is_compatible_with(logits.shape[:1]):
        raise ValueError(f"labels {labels.shape} with logits {logits.shape}")
    classes = logits.shape[1]
    wanted = tf.one_hot(labels, classes, 1.0 - smoothing + smoothing / classes, smoothing / classes)
    return tf.nn.softmax_cross_entropy_with_logits(wanted, logits)


class Classifier(keras.Model):
    """A classifier whose ``train_step`` is one Adam update.

    Args:
        network: images in [-1, 1] -> features ``[batch, d]`` and logits ``[batch, K]``.
        averaged: a second network of the same structure, which holds the moving average.
        settings: see ``ReaderSettings``.
    """

    def __init__(self, network: keras.Model, averaged: keras.Model, settings: ReaderSettings):
        super().__init__(name="classifier")
        self.network, self.averaged, self.settings = network, averaged, settings
        self.rate_optimizer = keras.optimizers.Adam(settings.rate)
        self.rate_optimizer.build(network.trainable_variables)
        self.images_seen = ema.images_seen(self)
        ema.update(averaged, network, tf.constant(0.0))
        self.compile(optimizer=None, jit_compile=False)

    def train_step(self, batch: dict) -> dict[str, tf.Tensor]:
        """One step on "real": {"image": ``[batch, 1, height, width, channels]``, "label": integers ``[batch, 1]``}.

        Returns:
            Scalars; under a strategy each replica's share of them, to be summed.
        """
        s = self.settings
        images, labels = batch["real"]["image"][:, 0], batch["real"]["label"][:, 0]
        variables = [v.value for v in self.network.trainable_variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            _, logits = self.network(images, training=True)
            loss = checked(tf.reduce_sum(cross_entropy(labels, logits, s.smoothing)) / s.batch, "the loss")
        gradients = tape.gradient(loss, variables)
        norm = apply_gradients(self.rate_optimizer, gradients, self.network.trainable_variables, "the gradient")
        ema.update(self.averaged, self.network, ema.decay(s.ema_half_life, s.batch, self.images_seen))
        self.images_seen.assign_add(s.batch)
        right = tf.cast(tf.argmax(logits, axis=1, output_type=labels.dtype) == labels, tf.float32)
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        return {"loss": loss, "accuracy": tf.reduce_sum(right) / s.batch, "gradient_norm": norm / replicas}

    def sampler(self, chunks: Iterable[tf.Tensor]) -> keras.Model:
        """The averaged network, its batch-norm statistics computed anew from chunks of training images."""
        ema.refresh_batch_norm(self.averaged, chunks)
        return self.averaged
