"""The worker of ``step_variants.py`` and its table of variants: changes of the training step, made by patching modules."""

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._step_ours import StepWorker
from benchmarks._turns import serve
from gan_tf.utils.tf_import import import_tensorflow


@dataclass(frozen=True)
class Variant:
    """A change of the training step.

    Attributes:
        about: what is changed, in a few words.
        is_part_of_step: True if it undoes an optimization that the step has; False if it was tried and rejected.
        losses: the losses whose step it changes.
        change: makes the change, in a process that has not built the GAN yet.
    """

    about: str
    is_part_of_step: bool
    losses: tuple[str, ...]
    change: Callable[[], None]


def keras_batch_norm() -> None:
    import keras

    from gan_tf.nn.layers import BatchNorm

    BatchNorm.call = keras.layers.BatchNormalization.call


def library_kernel_gradients() -> None:
    from gan_tf.nn import strided_conv

    strided_conv.is_faster = lambda *_: False


def separate_passes() -> None:
    """D is applied to real and to fake images separately, for losses without a penalty."""
    import tensorflow as tf

    from gan_tf.gan.model import GAN

    def discriminator_forward(self, real, fake, interpolation):
        return self.discriminator(real, training=True), self.discriminator(fake, training=True), tf.zeros(())

    GAN._discriminator_forward = discriminator_forward


def separate_penalty() -> None:
    """R1 and R2 are computed in forward passes of their own, one of real and one of fake images."""
    import tensorflow as tf

    from gan_tf.gan import model
    from gan_tf.gan.penalties import PENALTIES, forward_with_tape, gradient_squared_norm

    def forward_with_penalty(discriminator, penalty, real, fake, interpolation, is_penalty_step=None):
        logits = discriminator(tf.concat([real, fake], axis=0), training=True)
        squared_norms = []
        for images in (real, fake):
            own_logits, tape = forward_with_tape(discriminator, images)
            squared_norms.append(gradient_squared_norm(tape, own_logits, images))
        return *tf.split(logits, 2), PENALTIES[penalty].at_images(*squared_norms)

    model.forward_with_penalty = forward_with_penalty


def separate_fakes() -> None:
    """Fakes are generated from the same latents twice, for D's update and again for G's."""
    import tensorflow as tf

    from gan_tf.gan.model import GAN

    def update_both(self, batch):
        logs = self._update_discriminator(batch, 0, self.generator(batch["latents"][:, 0], training=True))
        return logs | self._update_generator(batch | {"latents": tf.repeat(batch["latents"], 2, axis=1)}, 1)

    GAN._update_both_on_shared_fakes = update_both


def fused_adam() -> None:
    """Adam with TensorFlow's one operation per variable instead of Keras's dozen (the same mathematics)."""
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
    """The gradient is computed from the outputs, which have the inputs' sign, so that more can be fused."""
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
    """Layer norm and its gradient as sums per channel and one multiply-add, instead of the tape's gradient."""
    import tensorflow as tf

    from gan_tf.nn.layers import GroupNorm

    @tf.custom_gradient
    def layer_norm(x, gamma, beta):
        images, n = tf.cast(x, tf.float32), x.shape[1] * x.shape[2] * x.shape[3]

        def mean(sums):  # [batch, channels] to [batch, 1]
            return tf.reduce_sum(sums, 1, keepdims=True) / n

        def affine(factor):  # [batch, channels or 1] to a factor of images
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

    GroupNorm.call = lambda self, x: layer_norm(x, tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta))


def batch_norm_in_halves() -> None:
    """D is applied to real and fake images as one batch, and batch norm normalizes each half of it."""
    import tensorflow as tf

    from gan_tf.gan.model import GAN
    from gan_tf.nn.layers import BatchNorm

    original_call, is_halved = BatchNorm.call, [False]

    @contextlib.contextmanager
    def halved():
        is_halved[0] = True
        yield
        is_halved[0] = False

    def call(self, inputs, training=None, mask=None):
        if not is_halved[0]:
            return original_call(self, inputs, training=training, mask=mask)
        return tf.concat([original_call(self, half, training=training) for half in tf.split(inputs, 2)], axis=0)

    def discriminator_forward(self, real, fake, interpolation):
        with halved():
            logits = self.discriminator(tf.concat([real, fake], axis=0), training=True)
        return *tf.split(logits, 2), tf.zeros(())

    BatchNorm.call, GAN._discriminator_forward = call, discriminator_forward


def xla() -> None:
    import tensorflow as tf

    from gan_tf.training import loop

    loop.build_step_function = lambda model, strategy: tf.function(model.train_step, jit_compile=True)


def no_remapper() -> None:
    """Without Grappler's fusion of convolution, bias and activation, which fails on some of our graphs."""
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"remapping": False})


VARIANTS: dict[str, Variant] = {
    "keras-batch-norm": Variant("Keras's batch norm, not the fused one", True, ("gan", "hinge"), keras_batch_norm),
    "library-gradients": Variant(
        "kernel gradients by oneDNN, not as products", True, ("gan", "hinge", "wgangp", "rpgan"), library_kernel_gradients
    ),
    "separate-passes": Variant(
        "D applied to real and fake images separately, not as one batch", True, ("hinge",), separate_passes
    ),
    "separate-penalty": Variant("R1 and R2 in forward passes of their own", True, ("rpgan",), separate_penalty),
    "separate-fakes": Variant("fakes generated again for G's update", True, ("gan", "hinge"), separate_fakes),
    "batch-norm-halves": Variant("one batch through D, each half normalized separately", False, ("gan",), batch_norm_in_halves),
    "fused-adam": Variant("Adam as one operation per variable", False, ("gan", "hinge", "wgangp", "rpgan"), fused_adam),
    "leaky-relu": Variant("leaky ReLU as a maximum", False, ("hinge", "wgangp"), leaky_relu_by_maximum),
    "leaky-relu-outputs": Variant(
        "leaky ReLU's gradient from its outputs", False, ("hinge", "wgangp", "rpgan"), leaky_relu_by_outputs
    ),
    "layer-norm": Variant("layer norm's gradient by formula", False, ("wgangp",), layer_norm_by_formula),
    "no-remapper": Variant("Grappler's remapper off", False, ("gan", "hinge", "wgangp", "rpgan"), no_remapper),
    "xla": Variant("the step compiled by XLA", False, ("gan", "wgangp"), xla),
}


class VariantWorker(StepWorker):
    """The requests of the benchmark."""

    def build(self, variant: str | None, **arguments) -> dict:
        """Does ``StepWorker.build`` after the variant's change; without one if it is None."""
        if variant:
            VARIANTS[variant].change()
        return super().build(**arguments)


if __name__ == "__main__":
    import_tensorflow()
    worker = VariantWorker()
    serve({"build": worker.build, "steps": worker.steps})
