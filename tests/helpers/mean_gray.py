"""A score that needs no network."""

import numpy as np


class MeanGray:
    """Takes the place of ``TrainingSetMetrics``: its "FID" is the mean gray level.

    Args:
        count: how many images are compared.
    """

    class extractor:
        name, protocol, resize = "net", "test", "none"

    def __init__(self, count: int):
        self.count = count

    def compute(self, images: np.ndarray) -> tuple[float, float]:
        return float(images.mean()), 0.0
