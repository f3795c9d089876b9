"""How different the images of a sample are from one another, without labels or features: what a mode collapse lowers."""

import numpy as np

from gan_tf.evaluation.metrics.precision_recall import neighbor_radii


def neighbor_distance(images: np.ndarray) -> float:
    """Computes the median distance of an image to the nearest other image of the sample.

    The mean distance of all pairs would stay high where few different images are generated again and again; the nearest
    image is then a copy, and this distance is close to 0.

    Args:
        images: uint8 ``[n, height, width, channels]``, at least two.

    Returns:
        The root mean square over all values, in gray levels from 0 to 255.

    Raises:
        ValueError: there are fewer than two images.
    """
    if len(images) < 2:
        raise ValueError(f"a distance needs two or more images, not {len(images)}")
    pixels = images.reshape(len(images), -1).astype(np.float64) - 127.5
    (squares,) = neighbor_radii(pixels, [1])
    return float(np.median(np.sqrt(np.maximum(squares, 0.0) / pixels.shape[1])))
