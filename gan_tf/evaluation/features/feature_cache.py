"""Features of real images, cached by the digest of their pixels and of the network: never by a name."""

import hashlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np

from gan_tf.evaluation.features.extractor import FeatureExtractor, extract
from gan_tf.utils.files import write_arrays
from pipelines.archives import open_arrays
from pipelines.errors import READ_ERRORS, UserError
from pipelines.transforms import pixels_sha256

if TYPE_CHECKING:
    from gan_tf.evaluation.image_files import SourceImages

_log = logging.getLogger(__name__)


def real_features(
    extractor: FeatureExtractor, images: "np.ndarray | SourceImages", folder: Path | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns ``extract`` of real images from the cache; computes and stores them if they are not there.

    Args:
        extractor: the network; its name, digests, protocol and resize are part of the key, and so are the pixels and what
            Keras computes in.
        images: uint8 [n, height, width, 3].
        folder: the cache folder, or None for no cache. One that cannot be written only causes a warning.
    """
    if folder is None:
        return extract(extractor, images)
    network = (extractor.name, extractor.weights_sha256, extractor.protocol, extractor.resize)
    settings = (keras.config.backend(), keras.config.dtype_policy().name, keras.config.image_data_format())
    classifier = (extractor.classifier_sha256,) if extractor.classifier_sha256 else ()
    key = (*network, *settings, pixels_sha256(images), *classifier)
    file = folder / "features" / f"{hashlib.sha256(repr(key).encode()).hexdigest()}.npz"
    cached = _read(file, len(images), extractor.has_logits)
    if cached is not None:
        return cached
    features, logits = extract(extractor, images)
    arrays = {"features": features} | ({} if logits is None else {"logits": logits})
    try:
        write_arrays(file, arrays)
    except UserError as error:
        _log.warning("features of real images are not cached: %s", error)
    return features, logits


def _read(file: Path, count: int, has_logits: bool) -> tuple[np.ndarray, np.ndarray | None] | None:
    try:
        with open_arrays(file) as arrays:
            features, logits = arrays["features"], arrays["logits"] if has_logits else None
    except READ_ERRORS:
        return None
    return (features, logits) if len(features) == count and np.isfinite(features).all() else None
