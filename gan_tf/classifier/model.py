"""An image classifier: softmax cross entropy with label smoothing (Szegedy et al. 2016, section 7), and an EMA."""

from typing import Any

import keras
import tensorflow as tf

from gan_tf.classifier.config import ClassifierConfig
from gan_tf.nn.ema import create_images_seen, ema_decay, recompute_batch_norm, update_ema
from gan_tf.training.finite_check import apply_gradients, check_finite
from pipelines.stream import Stream

_NUM_BATCH_NORM_BATCHES = 16  # training batches from which batch-norm statistics are recomputed


def cross_entropy(labels: tf.Tensor, logits: tf.Tensor, smoothing: float = 0.0) -> tf.Tensor:
    """Computes -sum_k q_k log softmax(logits)_k for each image, ``[batch]``; q is 1 - smoothing + smoothing/K at the label.

    Args:
        labels: integers ``[batch]``.
        logits: ``[batch, K]``.
        smoothing: the probability that is spread over all K classes, including the label's.

    Raises:
        ValueError: the shapes do not match.
    """
    if labels.shape.rank != 1 or logits.shape.rank != 2 or not labels.shape.is_compatible_with(logits.shape[:1]):
        raise ValueError(f"the shapes of labels {labels.shape} and logits {logits.shape} do not match")
    num_classes = logits.shape[1]
    targets = tf.one_hot(labels, num_classes, 1.0 - smoothing + smoothing / num_classes, smoothing / num_classes)
    return tf.nn.softmax_cross_entropy_with_logits(targets, logits)


class Classifier(keras.Model):
    """A classifier whose ``train_step`` is one update by Adam.

    Args:
        network: images in [-1, 1] -> features ``[batch, d]`` and logits ``[batch, K]``.
        network_ema: a second network of the same structure, for the EMA.
        config: see ``ClassifierConfig``.
    """

    def __init__(self, network: keras.Model, network_ema: keras.Model, config: ClassifierConfig):
        super().__init__(name="classifier")
        self.network, self.network_ema, self.config = network, network_ema, config
        self.network_optimizer = keras.optimizers.Adam(config.learning_rate)
        self.network_optimizer.build(network.trainable_variables)
        self.images_seen = create_images_seen(self)
        update_ema(network_ema, network, tf.constant(0.0))
        self.compile(optimizer=None, jit_compile=False)

    def networks(self) -> dict[str, keras.Model]:
        """Returns the network that is trained, by name."""
        return {"network": self.network}

    def exported(self, stream: Stream) -> dict[str, keras.Model]:
        """Returns the EMA network, its batch-norm statistics recomputed from the first batches of ``stream``."""
        batches = (stream.batch_at(step)["real"]["image"][:, 0] for step in range(_NUM_BATCH_NORM_BATCHES))
        recompute_batch_norm(self.network_ema, batches)
        return {"network": self.network_ema}

    def train_step(self, batch: dict[str, Any]) -> dict[str, tf.Tensor]:
        """Trains the network for one step.

        Args:
            batch: "real": {"image": ``[batch, 1, height, width, channels]`` in [-1, 1], "label": integers ``[batch, 1]``}.

        Returns:
            Scalars by name; under a distribution strategy each replica's part of them, to be summed.
        """
        config = self.config
        images, labels = batch["real"]["image"][:, 0], batch["real"]["label"][:, 0]
        variables = [v.value for v in self.network.trainable_variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            _, logits = self.network(images, training=True)
            loss = check_finite(tf.reduce_sum(cross_entropy(labels, logits, config.smoothing)) / config.batch, "the loss")
        gradients = tape.gradient(loss, variables)
        norm = apply_gradients(self.network_optimizer, gradients, self.network.trainable_variables, "the gradient")
        update_ema(self.network_ema, self.network, ema_decay(config.ema_half_life, config.batch, self.images_seen))
        self.images_seen.assign_add(config.batch)
        is_correct = tf.cast(tf.argmax(logits, axis=1, output_type=labels.dtype) == labels, tf.float32)
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        return {"loss": loss, "accuracy": tf.reduce_sum(is_correct) / config.batch, "gradient_norm": norm / replicas}
