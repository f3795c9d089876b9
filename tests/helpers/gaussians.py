"""A second, tiny method: logistic regression between two clouds of points, through the same loop, checkpoints and ``fit``."""

import keras
import numpy as np
import tensorflow as tf

from gan_tf.training.finite_check import apply_gradients
from pipelines.stream import Stream, key


class Clouds:
    """60 points of a plane, those with even index around (2, 2), the others around (-2, -2)."""

    def __init__(self):
        centres = np.where(np.arange(60)[:, None] % 2 == 0, 2.0, -2.0)
        self.points = tf.constant(centres + np.random.default_rng(0).normal(size=(60, 2)), tf.float32)

    def __len__(self) -> int:
        return 60

    def take(self, indices):
        side = tf.cast(indices % 2, tf.float32)[:, None]
        return tf.concat([tf.gather(self.points, indices), side], axis=1)


class Classifier(keras.Model):
    """Tells the clouds apart; its inputs get keyed noise, as a GAN's do."""

    def __init__(self, batch: int):
        super().__init__()
        self.net = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="zeros")])
        self.rate_optimizer = keras.optimizers.Adam(0.05)
        self.rate_optimizer.build(self.net.trainable_variables)
        self.batch = batch
        self.compile(optimizer=None, jit_compile=False)

    def train_step(self, batch):
        points, side = batch["real"][:, 0, :2] + batch["noise"], batch["real"][:, 0, 2:]
        with tf.GradientTape() as tape:
            losses = tf.nn.sigmoid_cross_entropy_with_logits(side, self.net(points, training=True))
            loss = tf.reduce_sum(losses) / self.batch
        gradients = tape.gradient(loss, self.net.trainable_variables)
        norm = apply_gradients(self.rate_optimizer, gradients, self.net.trainable_variables, "gradient")
        return {"loss": loss, "gradient_norm": norm / tf.distribute.get_replica_context().num_replicas_in_sync}


def build(batch: int = 8) -> tuple[Classifier, Stream]:
    """The method and its stream."""

    def noise(step):
        return {"noise": 0.1 * tf.random.stateless_normal((batch, 2), key(3, step, 0), alg="philox")}

    return Classifier(batch), Stream(Clouds(), batch, seed=3, draws=noise)
