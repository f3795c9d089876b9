"""Layers that Keras lacks or has wrong, and the one place that knows how a discriminator is normalised."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("gan_tf")
class SpectralConv2D(keras.layers.Conv2D):
    """A convolution whose kernel is divided by its largest singular value (Miyato et al. 2018, algorithm 1).

    The kernel ``[h, w, in, out]`` counts as a matrix ``[h*w*in, out]``. One power iteration a training call updates the
    left vector, which is a variable; both vectors are constants to the gradient, which therefore is that of w / sigma(w)
    (``keras.layers.SpectralNormalization`` overwrites its kernel instead, and its gradient is another one).
    """

    def build(self, input_shape):
        super().build(input_shape)
        self.left = self.add_weight(
            shape=(1, self.filters),
            initializer=keras.initializers.RandomNormal(seed=self.filters),
            trainable=False,
            aggregation="only_first_replica",
            name="left",
        )

    def call(self, inputs, training=False):
        matrix = tf.reshape(tf.convert_to_tensor(self.kernel), [-1, self.filters])
        constant = tf.stop_gradient(matrix)
        left = tf.convert_to_tensor(self.left)
        right = tf.math.l2_normalize(tf.matmul(left, constant, transpose_b=True))
        if training:
            left = tf.math.l2_normalize(tf.matmul(right, constant))
            self.left.assign(left)
        sigma = tf.reduce_sum(tf.matmul(right, matrix) * tf.math.l2_normalize(left))
        outputs = self.convolution_op(inputs, self.kernel / sigma)
        return self.activation(outputs if self.bias is None else outputs + self.bias)

    # A convolution's own pair knows of kernel and bias only, so that a saved network could not be loaded.
    save_own_variables = keras.layers.Layer.save_own_variables
    load_own_variables = keras.layers.Layer.load_own_variables


def convolution(norm: str):
    """The convolution layer that goes with a normalisation: spectral norm is one of the kernel, not of activations."""
    return SpectralConv2D if norm == "spectral" else keras.layers.Conv2D


def normalise(x, norm: str, scale="ones"):
    """Applies ``norm`` to activations ``[batch, height, width, channels]``.

    "layer" is over height, width and channels with a scale a channel, "instance" over height and width (Ulyanov et al.
    2016), "batch" is computed over all devices together; "spectral" and "none" leave activations alone.
    ``scale`` initialises batch norm's gamma.
    """
    if norm == "batch":
        return batch_norm(scale)(x)
    if norm in ("layer", "instance"):
        return keras.layers.GroupNormalization(groups=1 if norm == "layer" else -1, epsilon=1e-5)(x)
    return x


def batch_norm(scale="ones"):
    """Batch norm, gamma initialised by ``scale``, its statistics over all devices where there is a strategy."""
    return keras.layers.BatchNormalization(
        momentum=0.9,
        epsilon=1e-5,
        gamma_initializer=scale,
        synchronized=tf.distribute.has_strategy(),
    )
