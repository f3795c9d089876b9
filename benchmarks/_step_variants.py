"""The worker of ``step_variants.py`` and its table: each way to do a step otherwise, as one change of the modules."""

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._step_ours import Ours
from benchmarks._turns import serve
from gan_tf.utils.tf_import import import_tensorflow


@dataclass(frozen=True)
class Variant:
    """One way to do the step otherwise.

    Attributes:
        about: what is changed, in a few words.
        kept: whether what it undoes is part of the step; else it was tried and stays out.
        losses: for which it changes anything.
        change: makes the change, in a process that has not built the method yet.
    """

    about: str
    kept: bool
    losses: tuple[str, ...]
    change: Callable[[], None]


def keras_batch_norm() -> None:
    import keras

    from gan_tf.nn.layers import BatchNorm

    BatchNorm.call = keras.layers.BatchNormalization.call


def library_kernel_gradients() -> None:
    from gan_tf.nn import strided_conv as strided

    strided.is_faster = lambda *_: False


def passes_apart() -> None:
    """Real and fake images through D one after the other, for losses without a penalty."""
    import tensorflow as tf

    from gan_tf.gan.model import GAN

    def judge(self, real, fake, share):
        return self.discriminator(real, training=True), self.discriminator(fake, training=True), tf.zeros(())

    GAN.judge = judge


def penalty_apart() -> None:
    """R1 and R2 by passes of their own, one of real and one of fake images, besides the one for the loss."""
    import tensorflow as tf

    from gan_tf.gan import model as adversarial
    from gan_tf.gan.penalties import PENALTIES, squared_gradient

    def penalised(discriminator, penalty, real, fake, share, due=None):
        logits = discriminator(tf.concat([real, fake], axis=0), training=True)
        squared = []
        for images in (real, fake):
            tape = tf.GradientTape(watch_accessed_variables=False)
            with tape:
                tape.watch(images)
                own = discriminator(images, training=True)
            squared.append(squared_gradient(tape, own, images))
        return *tf.split(logits, 2), PENALTIES[penalty].at_images(*squared)

    adversarial.penalised = penalised


def fakes_apart() -> None:
    """Fakes of the same noise made once for D's update and once more for G's."""
    import tensorflow as tf

    from gan_tf.gan.model import GAN

    def shared_step(self, batch):
        logs = self.update_discriminator(batch, 0, self.generator(batch["noise"][:, 0], training=True))
        return logs | self.update_generator(batch | {"noise": tf.repeat(batch["noise"], 2, axis=1)}, 1)

    GAN.shared_step = shared_step


def fused_adam() -> None:
    """Adam by TensorFlow's one operation a variable in place of Keras's dozen (the same mathematics)."""
    import keras
    import tensorflow as tf

    def update_step(self, gradient, variable, learning_rate):
        first, second = (moments[self._get_variable_index(variable)] for moments in (self._momentums, self._velocities))
        step = tf.cast(self.iterations + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=first.value.handle,
            v=second.value.handle,
            beta1_power=tf.pow(self.beta_1, step),
            beta2_power=tf.pow(self.beta_2, step),
            lr=tf.cast(learning_rate, tf.float32),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )

    keras.optimizers.Adam.update_step = update_step


def leaky_relu_by_maximum() -> None:
    import keras
    import tensorflow as tf

    keras.layers.LeakyReLU.call = lambda self, x: tf.maximum(x, tf.cast(self.negative_slope, x.dtype) * x)


def leaky_relu_by_outputs() -> None:
    """Its gradient from the outputs, which have the inputs' sign: the inputs needn't be kept, so more can be fused."""
    import keras
    import tensorflow as tf

    def call(self, x):
        @tf.custom_gradient
        def leaky(x):
            y = tf.nn.leaky_relu(x, self.negative_slope)
            return y, lambda g: tf.raw_ops.LeakyReluGrad(gradients=g, features=y, alpha=self.negative_slope)

        return leaky(x)

    keras.layers.LeakyReLU.call = call


def layer_norm_by_formula() -> None:
    """Layer norm and its gradient as sums a channel and one multiply-add, not as the tape derives it."""
    import tensorflow as tf

    from gan_tf.nn.layers import GroupNorm

    @tf.custom_gradient
    def normalised(x, gamma, beta):
        images, n = tf.cast(x, tf.float32), x.shape[1] * x.shape[2] * x.shape[3]

        def mean(sums):  # [batch, channels] to [batch, 1]
            return tf.reduce_sum(sums, 1, keepdims=True) / n

        def affine(factor):  # [batch, channels or 1] to what images can be multiplied by
            return factor[:, None, None, :]

        centre = mean(tf.reduce_sum(images, [1, 2]))
        scale = tf.math.rsqrt(mean(tf.reduce_sum(tf.square(images), [1, 2])) - tf.square(centre) + 1e-5)

        def gradient(g):
            g = tf.cast(g, tf.float32)
            sums = tf.reduce_sum(g, [1, 2])
            products = scale * (tf.reduce_sum(g * images, [1, 2]) - centre * sums)
            slope = -tf.square(scale) * mean(products * gamma)
            shift = -scale * mean(sums * gamma) - slope * centre
            to_images = g * affine(scale * gamma) + images * affine(slope) + affine(shift)
            return tf.cast(to_images, x.dtype), tf.reduce_sum(products, 0), tf.reduce_sum(sums, 0)

        return tf.cast(images * affine(scale * gamma) + affine(beta - centre * scale * gamma), x.dtype), gradient

    GroupNorm.call = lambda self, x: normalised(x, tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta))


def batch_norm_in_halves() -> None:
    """One pass of D for real and fake images, whose batch norm takes each half by itself: as if in two passes."""
    import tensorflow as tf

    from gan_tf.gan.model import GAN
    from gan_tf.nn.layers import BatchNorm

    whole, halved = BatchNorm.call, [False]

    @contextlib.contextmanager
    def halves():
        halved[0] = True
        yield
        halved[0] = False

    def call(self, inputs, training=None, mask=None):
        if not halved[0]:
            return whole(self, inputs, training=training, mask=mask)
        return tf.concat([whole(self, half, training=training) for half in tf.split(inputs, 2)], axis=0)

    def judge(self, real, fake, share):
        with halves():
            logits = self.discriminator(tf.concat([real, fake], axis=0), training=True)
        return *tf.split(logits, 2), tf.zeros(())

    BatchNorm.call, GAN.judge = call, judge


def xla() -> None:
    import tensorflow as tf

    from gan_tf.training import loop

    loop.build_step_function = lambda method, strategy: tf.function(method.train_step, jit_compile=True)


def no_remapper() -> None:
    """Without Grappler's fusing of convolution, bias and activation, which gives up on some of our graphs and says so."""
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"remapping": False})


VARIANTS: dict[str, Variant] = {
    "keras-batch-norm": Variant("Keras's batch norm, not the fused one", True, ("gan", "hinge"), keras_batch_norm),
    "library-gradients": Variant(
        "kernel gradients by oneDNN, not as products", True, ("gan", "hinge", "wgangp", "rpgan"), library_kernel_gradients
    ),
    "passes-apart": Variant("real and fake images through D apart, not in one batch", True, ("hinge",), passes_apart),
    "penalty-apart": Variant("R1 and R2 by passes of their own", True, ("rpgan",), penalty_apart),
    "fakes-apart": Variant("fakes made anew for G's update", True, ("gan", "hinge"), fakes_apart),
    "batch-norm-halves": Variant("one pass of D, its batch norm in halves", False, ("gan",), batch_norm_in_halves),
    "fused-adam": Variant("Adam as one operation a variable", False, ("gan", "hinge", "wgangp", "rpgan"), fused_adam),
    "leaky-relu": Variant("leaky ReLU by a maximum", False, ("hinge", "wgangp"), leaky_relu_by_maximum),
    "leaky-relu-outputs": Variant(
        "leaky ReLU's gradient from its outputs", False, ("hinge", "wgangp", "rpgan"), leaky_relu_by_outputs
    ),
    "layer-norm": Variant("layer norm's gradient by formula", False, ("wgangp",), layer_norm_by_formula),
    "no-remapper": Variant("Grappler's remapper off", False, ("gan", "hinge", "wgangp", "rpgan"), no_remapper),
    "xla": Variant("the step compiled by XLA", False, ("gan", "wgangp"), xla),
}


class Varied(Ours):
    """The requests that the benchmark may make."""

    def build(self, variant: str | None, **arguments) -> dict:
        """``Ours.build`` after the variant's change; None builds the step as it trains."""
        if variant:
            VARIANTS[variant].change()
        return super().build(**arguments)


if __name__ == "__main__":
    import_tensorflow()
    worker = Varied()
    serve({"build": worker.build, "steps": worker.steps})
