"""Images to Inception features, as pytorch-fid or torch-fidelity prepares them: the same numbers for the same uint8 images.

`FeatureExtractor` is what the scores need; tests put a small one of their own in its place.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from tqdm import tqdm

from gan_tf.evaluation.features.inception_weights import InceptionWeights, load_weights
from gan_tf.utils.tf_import import import_tensorflow
from pipelines.errors import InputError

PROTOCOLS = ("pytorch-fid", "torch-fidelity")
CHUNK = 32
"""Images in one call of the network; the last call is filled up, so that no value depends on how many there are."""

RESIZES = {
    "pytorch-fid": "bilinear to 299, half-pixel centres, no antialiasing; 2x/255 - 1",
    "torch-fidelity": "bilinear to 299 as TensorFlow 1 (no half-pixel centres); (x - 128)/128",
}


class FeatureExtractor(Protocol):
    """What turns images into features, and how it is named beside each number.

    Attributes:
        name: the network, for example ``inception-v3-2015``.
        weights_sha256: digest of its numbers.
        protocol: one of `PROTOCOLS`, or a name of its own.
        resize: how images come to the network's size and range, in words.
        has_logits: whether it has a classifier, so that an Inception Score can be computed.
        warning: why its numbers can't be compared with the literature's, or None.
    """

    name: str
    weights_sha256: str
    protocol: str
    resize: str
    has_logits: bool
    warning: str | None

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Features float32 [n, d] and logits [n, classes] (or None) of images uint8 [n, height, width, 3]."""
        ...


class InceptionExtractor:
    """An Inception network behind one protocol's resize; see `FeatureExtractor`. Use `fid_extractor` or `imagenet_extractor`."""

    def __init__(self, network, name: str, weights_sha256: str, protocol: str, warning: str | None):
        if protocol not in PROTOCOLS:
            raise InputError(f"protocol '{protocol}'", " or ".join(PROTOCOLS), "choose one by --protocol")
        self.name, self.weights_sha256, self.protocol, self.warning = name, weights_sha256, protocol, warning
        self.resize = RESIZES[protocol]
        self.has_logits = len(network.outputs) > 1
        self._apply = _compiled(network, protocol)

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Features float32 [n, 2048] and logits [n, classes] or None, of images uint8 [n, height, width, 3].

        Raises:
            InputError: other shapes or types, or features that are not finite.
        """
        check_images(images)
        features, *logits = in_fixed_batches(self._apply, images, CHUNK)
        return features, logits[0] if logits else None


def _compiled(network, protocol: str) -> Callable:
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([CHUNK, None, None, 3], tf.uint8)])
    def apply(images):
        prepared = prepare(images, protocol)
        outputs = network(prepared, training=False)
        return outputs if isinstance(outputs, list | tuple) else [outputs]

    return apply


def prepare(images, protocol: str):
    """Resizes to 299x299 and scales as one of `PROTOCOLS` does.

    Args:
        images: uint8 tensor [n, height, width, 3].
        protocol: ``pytorch-fid`` (PyTorch's ``interpolate(align_corners=False)``) or ``torch-fidelity``.

    Returns:
        A float32 tensor [n, 299, 299, 3] in about [-1, 1].
    """
    import tensorflow as tf

    pixel_centres = protocol == "pytorch-fid"
    resized = tf.raw_ops.ResizeBilinear(images=images, size=[299, 299], half_pixel_centers=pixel_centres)
    return resized * (2 / 255) - 1 if pixel_centres else (resized - 128) / 128


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
        InputError: they are something else.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3 or 0 in images.shape:
        raise InputError(
            f"images of type {images.dtype} and shape {list(images.shape)}",
            "uint8 [n, height, width, 3] in [0, 255]",
            "round to uint8, and repeat a grey channel three times",
        )


def fid_extractor(weights: InceptionWeights | str | Path | None = None, protocol: str = "pytorch-fid") -> InceptionExtractor:
    """The 2015 Inception network, whose FID is the literature's.

    Args:
        weights: loaded weights, a file that `weights.load_weights` reads, or None for the one in the cache folder.
        protocol: one of `PROTOCOLS`.

    Raises:
        InputError: there are no such weights, or no such protocol.
    """
    if not isinstance(weights, InceptionWeights):
        weights = load_weights(weights)
    import_tensorflow()
    from gan_tf.evaluation.features.inception import build_inception

    warning = None if weights.original else "not the original 2015 weights: not the literature's FID"
    return InceptionExtractor(build_inception(weights), "inception-v3-2015", weights.sha256, protocol, warning)


def imagenet_extractor(weights: str | Path | None = None, protocol: str = "pytorch-fid") -> InceptionExtractor:
    """Keras's own Inception V3 for ImageNet: another measure, and named so in every output.

    Args:
        weights: a Keras weights file of `keras.applications.InceptionV3` with its classifier; None fetches Keras's.
        protocol: one of `PROTOCOLS`.

    Raises:
        InputError: the weights can't be fetched or don't fit.
    """
    import keras

    try:
        network = keras.applications.InceptionV3(weights=str(weights or "imagenet"), classifier_activation=None)
    except Exception as error:  # the download raises several kinds, Keras's reader others
        raise InputError(
            f"Keras's ImageNet weights can't be had from {weights or 'the network'} ({str(error).splitlines()[0]})",
            "inception_v3_weights_tf_dim_ordering_tf_kernels.h5",
            "fetch it where there is network and name it by --weights, or use --inception fid",
        ) from error
    model = keras.Model(network.inputs, [network.get_layer("avg_pool").output, network.outputs[0]])
    numbers = hashlib.sha256()
    for values in model.get_weights():
        numbers.update(np.ascontiguousarray(values, "<f4"))
    warning = "Keras's ImageNet weights: not the literature's FID, compare only with the same"
    return InceptionExtractor(model, "inception-v3-imagenet-keras", numbers.hexdigest(), protocol, warning)


def iterate_batches(images: Iterable[np.ndarray], size: int = 8 * CHUNK) -> Iterator[np.ndarray]:
    """Cuts or joins arrays [n, …] of any lengths (an array counts as one) into arrays of ``size`` and a shorter last one.

    Raises:
        InputError: the arrays differ in height, width or type.
    """
    held: list[np.ndarray] = []
    count = 0
    for part in [images] if isinstance(images, np.ndarray) else images:
        check_images(part)
        if held and part.shape[1:] != held[0].shape[1:]:
            raise InputError(
                f"images of {part.shape[1]}x{part.shape[2]} among images of {held[0].shape[1]}x{held[0].shape[2]}",
                "one size",
                "bring them to one size first: a mixture has no comparable score",
            )
        held.append(part)
        count += len(part)
        while count >= size:
            joined = np.concatenate(held) if len(held) > 1 else held[0]
            yield joined[:size]
            held, count = [joined[size:]], count - size
    if count:
        yield np.concatenate(held) if len(held) > 1 else held[0]


def extract(extractor: FeatureExtractor, images: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
    """Features and logits of all images, which may come as one array or in parts of any lengths.

    Returns:
        float32 [n, d], and [n, classes] or None.

    Raises:
        InputError: no images, mixed sizes, or features that are not finite.
    """
    total = len(images) if isinstance(images, np.ndarray) else None
    parts = []
    with tqdm(total=total, desc="features", unit="image", leave=False, delay=5) as bar:
        for chunk in iterate_batches(images):
            parts.append(extractor(chunk))
            bar.update(len(chunk))
    if not parts:
        raise InputError("no images", "two or more", "check what was asked for")
    features = np.concatenate([part[0] for part in parts])
    if not np.isfinite(features).all():
        raise InputError(
            f"features of {np.count_nonzero(~np.isfinite(features).all(1))} images that are not finite",
            "finite features",
            "check the weights file; fetch it anew",
        )
    logits = np.concatenate([part[1] for part in parts]) if extractor.has_logits else None
    return features, logits
