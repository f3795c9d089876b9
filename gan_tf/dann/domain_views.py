"""The views of source and target images that are trained on, by target; the ranges were found on MNIST-M, SVHN and USPS."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from gan_tf.dann.config import DannConfig
from pipelines.randomness import Purpose, seed_for
from pipelines.strokes import stroke_images
from pipelines.views import View, random_views

_SOURCE_TO_SVHN = View(
    scale_x=(0.55, 1.05),
    scale_y=(0.85, 1.2),
    max_degrees=12.0,
    max_shear=0.25,
    max_shift=2.0,
    dilation=0.4,
    neighbor=0.5,
    blur=0.65,
    ramp=0.25,
    noise=0.1,
    inversion=0.5,
)
SOURCE_VIEWS: dict[str, View] = {
    "svhn": _SOURCE_TO_SVHN,
    "usps": dataclasses.replace(
        _SOURCE_TO_SVHN, scale_x=(0.9, 1.45), scale_y=(0.95, 1.45), max_shear=0.35, neighbor=0.0, blur=0.5
    ),
    "folder": View(scale_x=(0.8, 1.2), max_degrees=12.0, max_shear=0.2, max_shift=2.0, blur=0.5, ramp=0.25, noise=0.1),
}
WEAK_VIEW = View(scale_x=(0.95, 1.05), max_degrees=4.0, max_shear=0.05, max_shift=1.5)
STRONG_VIEW = View(
    scale_x=(0.8, 1.2),
    max_degrees=12.0,
    max_shear=0.2,
    max_shift=2.5,
    blur=0.5,
    ramp=0.25,
    noise=0.15,
    inversion=0.5,
    cutout=(8.0, 10.0),
)

Samples = dict[str, tf.Tensor]


class DomainViews:
    """Prepares the images of both domains for training: a pure function of (seed, step).

    Args:
        config: which phase, and which views.
    """

    def __init__(self, config: DannConfig):
        self.config = config

    def prepare_source(self, samples: Mapping[str, tf.Tensor], step: tf.Tensor) -> Samples:
        """Returns views of labeled source images, and their labels."""
        image = self._view(stroke_images(samples["image"]), step, Purpose.SOURCE_VIEW, SOURCE_VIEWS[self.config.target])
        return {"image": image, "label": tf.cast(samples["label"], tf.int32)}

    def prepare_target(self, samples: Any, step: tf.Tensor) -> Samples:
        """Returns target images: as they are; with pseudo-labels a weak and a strong view; with labels a strong view."""
        if self.config.phase == "target":
            image = self._view(stroke_images(samples["image"]), step, Purpose.STRONG_VIEW, STRONG_VIEW)
            return {"image": image, "label": tf.cast(samples["label"], tf.int32)}
        images = stroke_images(samples)
        if not self.config.pseudo_weight:
            return {"image": images}
        strong = self._view(images, step, Purpose.STRONG_VIEW, STRONG_VIEW)
        return {"image": self._view(images, step, Purpose.WEAK_VIEW, WEAK_VIEW), "strong": strong}

    def _view(self, images: tf.Tensor, step: tf.Tensor, purpose: Purpose, view: View) -> tf.Tensor:
        if not self.config.inversion:
            view = dataclasses.replace(view, inversion=0.0)
        return random_views(images, seed_for(self.config.seed, step, purpose), view)
