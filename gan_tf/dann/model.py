"""Unsupervised domain adaptation by an adversarial domain classifier (Ganin et al. 2016) and by pseudo-labels.

With ``--method dann`` it is the paper's objective alone. ``--method full`` adds what AdaMatch (Berthelot et al. 2021) does
with images without labels, and normalizes each domain by its own statistics (Li et al. 2016, AdaBN).
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gan_tf.dann.config import DannConfig
from gan_tf.dann.losses import align_distribution, confident, domain_loss, pseudo_label_loss, pseudo_label_ramp
from gan_tf.dann.networks import FEATURE_DROPOUT, LABEL_DROPOUT
from gan_tf.nn.ema import create_images_seen, recompute_batch_norm, update_ema
from gan_tf.nn.gradient_reversal import reversal_strength, reverse_gradient
from gan_tf.training.finite_check import apply_gradients, check_finite
from pipelines.randomness import Purpose, uniform
from pipelines.stream import Stream
from pipelines.strokes import stroke_images

_NUM_STATISTICS_IMAGES = 512  # target images from which batch-norm statistics are recomputed
_NUM_BATCH_NORM_BATCHES = 8  # training batches, where they are those of the source or of both domains
_DISTRIBUTION_DECAY = 0.99  # of the mean predictions of the two domains

Logs = dict[str, tf.Tensor]


class Classifier:
    """A feature extractor and a label classifier that are used together.

    Args:
        feature_extractor: images and dropout multipliers -> features.
        label_classifier: features and dropout multipliers -> logits.
    """

    def __init__(self, feature_extractor: keras.Model, label_classifier: keras.Model):
        self.feature_extractor, self.label_classifier = feature_extractor, label_classifier
        self._sizes = (feature_extractor.inputs[1].shape[1], label_classifier.inputs[1].shape[1])

    @property
    def num_dropped(self) -> int:
        """How many activations of an image dropout acts on."""
        return sum(self._sizes)

    def __call__(self, images: tf.Tensor, noise: tf.Tensor | None, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns features and logits.

        Args:
            images: ``[batch, height, width, 1]``, see ``pipelines.strokes``.
            noise: uniform in [0, 1), ``[batch, num_dropped]``, which decides what is dropped; None drops nothing.
            training: whether batch norm uses the statistics of the batch.
        """
        if noise is None:
            multipliers = [tf.ones([tf.shape(images)[0], size]) for size in self._sizes]
        else:
            parts = tf.split(noise, self._sizes, axis=1)
            rates = (FEATURE_DROPOUT, LABEL_DROPOUT)
            multipliers = [tf.cast(part >= rate, tf.float32) / (1.0 - rate) for part, rate in zip(parts, rates, strict=True)]
        features = self.feature_extractor([images, multipliers[0]], training=training)
        return features, self.label_classifier([features, multipliers[1]], training=training)

    def networks(self) -> dict[str, keras.Model]:
        """Returns the two networks by name."""
        return {"feature_extractor": self.feature_extractor, "label_classifier": self.label_classifier}


class DomainAdaptation(keras.Model):
    """A classifier of one domain that is trained on labels of another one; ``train_step`` is one update by Adam.

    ``teacher`` is the EMA of ``student``: it gives pseudo-labels, and it is what is exported. The phases "source" and
    "target" are ordinary supervised training of the same networks on one domain.

    Args:
        student: what is trained.
        teacher: networks of the same structure, for the EMA.
        domain_classifier: features -> one logit.
        config: see ``DannConfig``.
    """

    def __init__(self, student: Classifier, teacher: Classifier, domain_classifier: keras.Model, config: DannConfig):
        super().__init__(name="dann")
        self.feature_extractor, self.label_classifier = student.feature_extractor, student.label_classifier
        self.feature_extractor_ema, self.label_classifier_ema = teacher.feature_extractor, teacher.label_classifier
        self.domain_classifier = domain_classifier
        self.student, self.teacher, self.config = student, teacher, config
        self.adapts = config.phase == "adapt"
        self.network_optimizer = _build_optimizer(config, self._trained_variables())
        self.images_seen = create_images_seen(self)
        num_classes = len(config.class_names)
        self.source_mean, self.target_mean = (
            self.add_weight(shape=(num_classes,), initializer=_constant(1 / num_classes), trainable=False, name=name)
            for name in ("source_mean", "target_mean")
        )
        self._update_teacher(tf.constant(0.0))
        self.compile(optimizer=None, jit_compile=False)

    def networks(self) -> dict[str, keras.Model]:
        """Returns the networks that are trained, by name."""
        networks = self.student.networks()
        return {**networks, "domain_classifier": self.domain_classifier} if self.adapts else networks

    def exported(self, stream: Stream) -> dict[str, keras.Model]:
        """Returns the teacher, its batch-norm statistics recomputed from training images, as they are seen in inference.

        They are those of 512 target images, exact and without labels; of batches of the source where no target is trained
        on, and of both domains where batch norm averages over both.
        """
        recompute_batch_norm(self.teacher.feature_extractor, self._statistics_batches(stream))
        return self.teacher.networks()

    def _statistics_batches(self, stream: Stream) -> list[list[tf.Tensor]]:
        if self.config.phase == "source" or self.config.statistics == "joint":
            names = [name for name in ("source", "target") if name in stream.sources]
            batches = [stream.batch_at(step) for step in range(_NUM_BATCH_NORM_BATCHES)]
            images = [tf.concat([batch[name]["image"][:, 0] for name in names], axis=0) for batch in batches]
        else:
            source = stream.sources["target"]
            count = min(_NUM_STATISTICS_IMAGES, len(source))
            steps = range(-(-count // stream.batch_size))
            indices = np.concatenate([stream.indices(step, "target") for step in steps])[:count]
            samples = source.take(indices)
            images = [stroke_images(samples["image"] if isinstance(samples, dict) else samples)]
        size = self.teacher.feature_extractor.inputs[1].shape[1]
        return [[batch, tf.ones([batch.shape[0], size])] for batch in images]

    def random_inputs(self, step: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns "dropout" of a step: uniform in [0, 1), ``[batch, domains, num_dropped]``."""
        config, num_domains = self.config, 2 if self.adapts else 1
        shape = (config.batch, num_domains, self.student.num_dropped)
        return {"dropout": uniform(shape, config.seed, step, Purpose.DROPOUT)}

    def train_step(self, batch: dict[str, Any]) -> Logs:
        """Trains all networks for one step.

        Args:
            batch: for each domain that is trained on, "image" ``[batch, 1, height, width, 1]``, and "label" ``[batch, 1]``
                where labels are used; with pseudo-labels also "strong" of the target, another view of its images; and the
                entries of ``random_inputs``.

        Returns:
            Scalars by name.
        """
        config = self.config
        variables = self._trained_variables()
        values = [variable.value for variable in variables]
        teacher_probabilities = self._teacher_probabilities(batch)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            if self.adapts:
                loss, logs = self._adaptation_loss(batch, teacher_probabilities)
            else:
                images = batch[config.phase]["image"][:, 0]
                _, logits = self.student(images, batch["dropout"][:, 0], training=True)
                loss, logs = _label_loss(batch[config.phase]["label"][:, 0], logits)
            loss = check_finite(loss, "the loss")
        norm = apply_gradients(self.network_optimizer, tape.gradient(loss, values), variables, "the gradient")
        steps = tf.cast(self.images_seen // config.batch, tf.float32)
        self._update_teacher(tf.minimum(config.teacher_decay, steps / (steps + 1.0)))  # at first the mean of all steps
        self.images_seen.assign_add(config.batch)
        return {**logs, "gradient_norm": norm}

    def _adaptation_loss(self, batch: dict[str, Any], teacher_probabilities: tf.Tensor | None) -> tuple[tf.Tensor, Logs]:
        """Returns the sum of the losses on labels, domains and pseudo-labels."""
        config, progress = self.config, self._progress()
        outputs = self._student_outputs(batch)
        (source_features, source_logits), (target_features, target_logits) = outputs
        loss, logs = _label_loss(batch["source"]["label"][:, 0], source_logits)
        strength = config.domain_weight * reversal_strength(progress)
        source_domain, target_domain = (
            self.domain_classifier(reverse_gradient(features, strength), training=True)
            for features in (source_features, target_features)
        )
        adversarial_loss = domain_loss(source_domain, target_domain)
        loss += adversarial_loss
        is_right = tf.concat([source_domain < 0.0, target_domain > 0.0], axis=0)
        logs |= {"domain_loss": adversarial_loss, "domain_accuracy": tf.reduce_mean(tf.cast(is_right, tf.float32))}
        target_probabilities = tf.nn.softmax(target_logits)
        if teacher_probabilities is not None:
            target_probabilities = teacher_probabilities
            source_probabilities = tf.stop_gradient(tf.nn.softmax(source_logits))
            labels = self._align(teacher_probabilities, source_probabilities)
            mask = confident(labels, source_probabilities, config.pseudo_threshold)
            pseudo_loss = pseudo_label_loss(labels, mask, target_logits)
            loss += config.pseudo_weight * pseudo_label_ramp(progress) * pseudo_loss
            logs |= {"pseudo_loss": pseudo_loss, "pseudo_fraction": tf.reduce_mean(mask)}
        logs["target_confidence"] = tf.reduce_mean(tf.reduce_max(target_probabilities, axis=1))
        return loss, logs

    def _student_outputs(self, batch: dict[str, Any]) -> list[tuple[tf.Tensor, tf.Tensor]]:
        """Returns features and logits of the source's and of the target's images that are learned from."""
        target = batch["target"]
        images = [batch["source"]["image"][:, 0], target.get("strong", target["image"])[:, 0]]
        noise = tf.unstack(batch["dropout"], axis=1)
        if self.config.statistics == "domain":
            return [self.student(*inputs, training=True) for inputs in zip(images, noise, strict=True)]
        features, logits = self.student(tf.concat(images, axis=0), tf.concat(noise, axis=0), training=True)
        return list(zip(tf.split(features, 2), tf.split(logits, 2), strict=True))

    def _teacher_probabilities(self, batch: dict[str, Any]) -> tf.Tensor | None:
        """Returns the teacher's probabilities ``[batch, K]`` for weak views of the target; None without pseudo-labels."""
        if not self.adapts or "strong" not in batch["target"]:
            return None
        images = batch["target"]["image"][:, 0]
        if self.config.statistics == "joint":
            images = tf.concat([batch["source"]["image"][:, 0], images], axis=0)
        _, logits = self.teacher(images, None, training=True)
        return tf.nn.softmax(logits[-self.config.batch :])

    def _align(self, target_probabilities: tf.Tensor, source_probabilities: tf.Tensor) -> tf.Tensor:
        """Updates the mean predictions of both domains, and returns aligned probabilities of the target."""
        means = []
        for mean, probabilities in ((self.source_mean, source_probabilities), (self.target_mean, target_probabilities)):
            value = _DISTRIBUTION_DECAY * mean + (1.0 - _DISTRIBUTION_DECAY) * tf.reduce_mean(probabilities, axis=0)
            mean.assign(value)
            means.append(value)
        return align_distribution(target_probabilities, *means)

    def _progress(self) -> tf.Tensor:
        """Returns which fraction of the schedules is done, in [0, 1]."""
        return tf.minimum(tf.cast(self.images_seen, tf.float32) / self.config.lr_decay_images, 1.0)

    def _trained_variables(self) -> list[keras.Variable]:
        return [variable for network in self.networks().values() for variable in network.trainable_variables]

    def _update_teacher(self, decay: tf.Tensor) -> None:
        for name, network in self.student.networks().items():
            update_ema(self.teacher.networks()[name], network, decay)


def _label_loss(labels: tf.Tensor, logits: tf.Tensor) -> tuple[tf.Tensor, Logs]:
    """Returns the mean cross entropy, and it and the accuracy as logs."""
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
    is_right = tf.argmax(logits, axis=1, output_type=labels.dtype) == labels
    return loss, {"loss": loss, "accuracy": tf.reduce_mean(tf.cast(is_right, tf.float32))}


def _constant(value: float) -> keras.initializers.Initializer:
    return keras.initializers.Constant(value)


def _build_optimizer(config: DannConfig, variables: list[keras.Variable]) -> keras.optimizers.Optimizer:
    """Builds Adam and its slots: a linear warm-up, then half a cosine down to 2 % of the highest learning rate."""
    warmup_steps = min(config.warmup_images // config.batch, config.last_step // 2)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup_steps else config.learning_rate,
        max(1, config.last_step - warmup_steps),
        alpha=0.02,
        warmup_target=config.learning_rate if warmup_steps else None,
        warmup_steps=warmup_steps,
    )
    optimizer = keras.optimizers.Adam(schedule, config.beta1, config.beta2)
    optimizer.build(variables)
    return optimizer
