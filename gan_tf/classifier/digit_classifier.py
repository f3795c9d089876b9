"""The trained digit classifier, ready for use: it classifies images, and is a feature extractor for scores."""

import hashlib
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gan_tf import export, shipped
from gan_tf.classifier.config import ClassifierConfig
from gan_tf.classifier.networks import build_classifier
from gan_tf.evaluation.digits import classify
from gan_tf.evaluation.features.extractor import check_images, in_fixed_batches
from gan_tf.evaluation.image_files import SourceImages
from gan_tf.options import from_values

BATCH = 256
"""Images in one call of the network; the last call is padded, so that no value depends on how many there are."""
SIZE = 28


class DigitClassifier:
    """A digit classifier with the interface of ``FeatureExtractor``; use ``load_digit_classifier``.

    Args:
        network: images [n, 28, 28, 3] in [-1, 1] -> features [n, 128] and logits [n, 10].
        weights_sha256: digest of its weights.
    """

    name = "gan_tf-digit-classifier"
    protocol = "digit-classifier"
    resize = "28x28 as they are, others bilinear with antialiasing; x/127.5 - 1"
    has_logits = True
    classifier_sha256 = ""  # a part of the network
    warning: str | None = None

    def __init__(self, network: keras.Model, weights_sha256: str):
        self.network, self.weights_sha256 = network, weights_sha256

        @tf.function(input_signature=[tf.TensorSpec([BATCH, None, None, 3], tf.uint8)])
        def apply(images: tf.Tensor) -> Any:
            resized = tf.image.resize(images, (SIZE, SIZE), antialias=True)
            return network(resized / 127.5 - 1.0, training=False)

        self._apply = apply

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns features float32 [n, 128] and logits [n, 10] of images uint8 [n, height, width, 3].

        Raises:
            UserError: other shapes or types.
        """
        check_images(images)
        features, logits = in_fixed_batches(self._apply, images, BATCH)
        return features, logits

    def predict(self, images: np.ndarray | SourceImages) -> np.ndarray:
        """Returns the digits [n] that images uint8 [n, height, width, 3] show."""
        return classify(self, images)


def load_digit_classifier(directory: Path | None = None) -> DigitClassifier:
    """Returns the shipped digit classifier, or that of a directory of weights.

    Raises:
        UserError: there are no weights, or those of another network.
    """
    exported = export.read_weights(shipped.SHIPPED / "digits" / "classifier" if directory is None else directory)
    config = from_values(ClassifierConfig, exported.config, str(exported.directory))
    network = build_classifier((SIZE, SIZE, 3), config.hidden_dim)
    exported.assign("network", network)
    digest = hashlib.sha256()
    for values in network.get_weights():
        digest.update(np.ascontiguousarray(values, "<f4"))
    return DigitClassifier(network, digest.hexdigest())
