"""An adapted classifier, ready for use."""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from gan_tf.dann.model import Classifier
from gan_tf.evaluation.features.extractor import check_images, in_fixed_batches
from gan_tf.evaluation.image_files import SourceImages
from pipelines.formats.domains import SHAPE
from pipelines.strokes import stroke_images

BATCH = 256
"""Images in one call of the networks; the last call is padded, so that no value depends on how many there are."""


class Predictor:
    """Classifies images of the domain that its weights were adapted to.

    Args:
        networks: "feature_extractor" and "label_classifier".
        classes: the names of the classes.
    """

    def __init__(self, networks: Mapping[str, keras.Model], classes: tuple[str, ...]):
        self.classes = classes
        classifier = Classifier(networks["feature_extractor"], networks["label_classifier"])

        @tf.function(input_signature=[tf.TensorSpec([BATCH, *SHAPE], tf.uint8)])
        def apply(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return classifier(stroke_images(images), None, training=False)

        self._apply, self._classifier = apply, classifier

    def __call__(self, images: np.ndarray | SourceImages) -> tuple[np.ndarray, np.ndarray]:
        """Returns features float32 [n, d] and logits [n, K] of images uint8 [n, 28, 28, 3].

        Raises:
            UserError: other shapes or types.
        """
        pixels = images[:] if isinstance(images, SourceImages) else images
        check_images(pixels)
        features, logits = in_fixed_batches(self._apply, pixels, BATCH)
        return features, logits

    def predict(self, images: np.ndarray | SourceImages) -> np.ndarray:
        """Returns the numbers [n] of the classes of images uint8 [n, 28, 28, 3]; for digits they are the digits."""
        return self(images)[1].argmax(axis=1)

    def classify_strokes(self, strokes: tf.Tensor) -> np.ndarray:
        """Returns the numbers of the classes [n] of images that are stroke images already, float32 [n, 28, 28, 1]."""
        logits = [self._classifier(batch, None, training=False)[1].numpy() for batch in _batches(strokes)]
        return np.concatenate(logits).argmax(axis=1)


def _batches(images: tf.Tensor) -> list[tf.Tensor]:
    return [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
