"""Images to Inception features, as pytorch-fid or torch-fidelity prepares them: the same numbers for the same uint8 images.

Scores need a ``FeatureExtractor``; tests use a small one of their own.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from gan_tf.evaluation.features.inception import build_inception
from gan_tf.evaluation.features.inception_weights import InceptionWeights, load_weights
from pipelines.errors import UserError

if TYPE_CHECKING:
    from gan_tf.evaluation.image_files import SourceImages

PROTOCOLS = ("pytorch-fid", "torch-fidelity")
BATCH = 32
"""Images in one call of the network; the last call is padded, so that no value depends on how many there are."""

_READ_BATCH = 8 * BATCH

RESIZES = {
    "pytorch-fid": "bilinear to 299, half-pixel centers, no antialiasing; 2x/255 - 1",
    "torch-fidelity": "bilinear to 299 as TensorFlow 1 (no half-pixel centers); (x - 128)/128",
}


class FeatureExtractor(Protocol):
    """What turns images into features, and how it is named in protocols.

    Attributes:
        name: the network, for example ``inception-v3-2015``.
        weights_sha256: digest of its weights.
        protocol: one of ``PROTOCOLS``, or a name of its own.
        resize: how images are brought to the network's size and range, in words.
        has_logits: whether it has a classifier, so that an Inception Score can be computed.
        classifier_sha256: digest of the classifier's weights; "" if ``weights_sha256`` covers them, or there are none.
        warning: why its numbers cannot be compared with the literature's, or None.
    """

    name: str
    weights_sha256: str
    protocol: str
    resize: str
    has_logits: bool
    classifier_sha256: str
    warning: str | None

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns features float32 [n, d] and logits [n, classes] (or None) of images uint8 [n, height, width, 3]."""
        ...


class InceptionExtractor:
    """An Inception network with one protocol's resize; use ``fid_extractor`` or ``imagenet_extractor``."""

    classifier_sha256 = ""

    def __init__(self, network: keras.Model, name: str, weights_sha256: str, protocol: str, warning: str | None):
        if protocol not in PROTOCOLS:
            raise UserError(f"There is no protocol '{protocol}'", f"Choose one of: {', '.join(PROTOCOLS)}")
        self.name, self.weights_sha256, self.protocol, self.warning = name, weights_sha256, protocol, warning
        self.resize = RESIZES[protocol]
        self.has_logits = len(network.outputs) > 1
        self._apply = _build_function(network, protocol)

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns features float32 [n, 2048] and logits [n, classes] or None, of images uint8 [n, height, width, 3].

        Raises:
            UserError: other shapes or types.
        """
        check_images(images)
        features, *logits = in_fixed_batches(self._apply, images, BATCH)
        return features, logits[0] if logits else None


def _build_function(network: keras.Model, protocol: str) -> Callable:
    @tf.function(input_signature=[tf.TensorSpec([BATCH, None, None, 3], tf.uint8)])
    def apply(images: tf.Tensor) -> Any:
        outputs = network(prepare(images, protocol), training=False)
        return outputs if isinstance(outputs, list | tuple) else [outputs]

    return apply


def prepare(images: tf.Tensor, protocol: str) -> tf.Tensor:
    """Resizes to 299x299 and scales as one of ``PROTOCOLS`` does.

    Args:
        images: uint8 tensor [n, height, width, 3].
        protocol: ``pytorch-fid`` (PyTorch's ``interpolate(align_corners=False)``) or ``torch-fidelity``.

    Returns:
        A float32 tensor [n, 299, 299, 3] in about [-1, 1].
    """
    half_pixel_centers = protocol == "pytorch-fid"
    resized = tf.raw_ops.ResizeBilinear(images=images, size=[299, 299], half_pixel_centers=half_pixel_centers)
    return resized * (2 / 255) - 1 if half_pixel_centers else (resized - 128) / 128


def in_fixed_batches(apply: Callable, images: np.ndarray, size: int) -> list[np.ndarray]:
    """Applies a function to images in batches of one size, the last one padded, so that no value depends on the count.

    Args:
        apply: from images uint8 [size, height, width, 3] to one or more tensors [size, …].
        images: uint8 [n, height, width, 3].
        size: of a batch.

    Returns:
        The outputs as arrays [n, …].
    """
    batches = []
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        padded = np.zeros((size, *images.shape[1:]), np.uint8)
        padded[: len(batch)] = batch
        batches.append([output.numpy()[: len(batch)] for output in apply(padded)])
    return [np.concatenate(outputs) for outputs in zip(*batches, strict=True)]


def check_images(images: np.ndarray) -> None:
    """Checks for uint8 [n, height, width, 3] with n > 0.

    Raises:
        UserError: they are something else.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3 or 0 in images.shape:
        problem = f"Images of type {images.dtype} and shape {list(images.shape)} cannot be scored: "
        problem += "uint8 [n, height, width, 3] is needed"
        raise UserError(problem, "Round to uint8, and repeat a gray channel three times")


def fid_extractor(weights: InceptionWeights | str | Path | None = None, protocol: str = "pytorch-fid") -> InceptionExtractor:
    """Returns the extractor of the 2015 Inception network, whose FID is the literature's.

    Args:
        weights: loaded weights, a file that ``load_weights`` reads, or None for the one in the cache folder.
        protocol: one of ``PROTOCOLS``.

    Raises:
        UserError: there are no such weights, or no such protocol.
    """
    if not isinstance(weights, InceptionWeights):
        weights = load_weights(weights)
    warning = None if weights.is_original else "not the original 2015 weights: not the literature's FID"
    extractor = InceptionExtractor(build_inception(weights), "inception-v3-2015", weights.sha256, protocol, warning)
    if weights.classifier is not None:
        extractor.classifier_sha256 = hashlib.sha256(np.ascontiguousarray(weights.classifier[0], "<f4")).hexdigest()
    return extractor


def imagenet_extractor(weights: str | Path | None = None, protocol: str = "pytorch-fid") -> InceptionExtractor:
    """Returns the extractor of Keras's own Inception V3 for ImageNet: other scores, and named so in every output.

    Args:
        weights: a Keras weights file of ``keras.applications.InceptionV3`` with its classifier; None fetches Keras's.
        protocol: one of ``PROTOCOLS``.

    Raises:
        UserError: the weights cannot be fetched, or do not fit.
    """
    try:
        network = keras.applications.InceptionV3(weights=str(weights or "imagenet"), classifier_activation=None)
    except Exception as error:  # the download raises several kinds of errors, and reading the file others
        source = weights or "the network"
        problem = f"Keras's ImageNet weights cannot be loaded from {source} ({str(error).splitlines()[0]})"
        hint = "Download inception_v3_weights_tf_dim_ordering_tf_kernels.h5 elsewhere and name it by --inception-weights, "
        raise UserError(problem, hint + "or use --inception fid") from error
    model = keras.Model(network.inputs, [network.get_layer("avg_pool").output, network.outputs[0]])
    if not all(np.isfinite(values).all() for values in model.get_weights()):
        raise UserError(f"Keras's ImageNet weights from {weights or 'the network'} are not finite", "Get the file again")
    digest = hashlib.sha256()
    for values in model.get_weights():
        digest.update(np.ascontiguousarray(values, "<f4"))
    warning = "Keras's ImageNet weights: not the literature's FID, compare only with the same"
    return InceptionExtractor(model, "inception-v3-imagenet-keras", digest.hexdigest(), protocol, warning)


def extract(extractor: FeatureExtractor, images: "np.ndarray | SourceImages") -> tuple[np.ndarray, np.ndarray | None]:
    """Returns features and logits of all images, which are read in batches.

    Returns:
        float32 [n, d], and [n, classes] or None.

    Raises:
        UserError: no images, or features that are not finite.
    """
    if not len(images):
        raise UserError("There are no images to score", "Check the folder or the count")
    parts = []
    with tqdm(total=len(images), desc="features", unit="image", leave=False, delay=5) as bar:
        for start in range(0, len(images), _READ_BATCH):
            batch = images[start : start + _READ_BATCH]
            parts.append(extractor(batch))
            bar.update(len(batch))
    features = np.concatenate([part[0] for part in parts])
    if not np.isfinite(features).all():
        count = np.count_nonzero(~np.isfinite(features).all(1))
        raise UserError(f"The features of {count} images are not finite", "Fetch the network's weights again")
    logits = np.concatenate([part[1] for part in parts]) if extractor.has_logits else None
    return features, logits
