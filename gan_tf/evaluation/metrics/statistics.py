"""Mean and covariance in one pass over any number of feature vectors, in float64 and mergeable (Chan, Golub, LeVeque 1983)."""

from dataclasses import dataclass

import numpy as np

from pipelines.errors import UserError


@dataclass
class FeatureStatistics:
    """Count, mean [d] and scatter matrix [d, d] (the sum of outer products of deviations) of the features added so far.

    Memory does not grow with the number of features.
    """

    count: int
    mean: np.ndarray
    scatter: np.ndarray

    @classmethod
    def empty(cls, dimensions: int) -> "FeatureStatistics":
        """Returns the statistics of no features."""
        return cls(0, np.zeros(dimensions), np.zeros((dimensions, dimensions)))

    @classmethod
    def of(cls, features: np.ndarray) -> "FeatureStatistics":
        """Computes the statistics of features [n, d].

        Raises:
            UserError: a feature is not finite.
        """
        features = np.asarray(features, np.float64)
        if not np.isfinite(features).all():
            raise UserError("Some features are not finite", "Check the images and the network's weights")
        mean = features.mean(axis=0)
        deviations = features - mean
        return cls(len(features), mean, deviations.T @ deviations)

    def merge(self, other: "FeatureStatistics") -> "FeatureStatistics":
        """Returns the statistics of both samples together."""
        if not self.count or not other.count:
            return other if not self.count else self
        count = self.count + other.count
        difference = other.mean - self.mean
        scatter = np.outer(difference, difference)
        scatter *= self.count * other.count / count
        scatter += self.scatter
        scatter += other.scatter
        return FeatureStatistics(count, self.mean + difference * (other.count / count), scatter)

    def add(self, features: np.ndarray) -> "FeatureStatistics":
        """Returns the statistics with features [n, d] added."""
        return self.merge(FeatureStatistics.of(features)) if len(features) else self

    @property
    def covariance(self) -> np.ndarray:
        """Unbiased covariance [d, d] (divided by n - 1, as in the FID).

        Raises:
            UserError: there are fewer than two features.
        """
        if self.count < 2:
            raise UserError("A covariance needs two or more images", "Add images")
        return self.scatter / (self.count - 1)
