"""Pictures of what a diffusion model does: its reverse process, its errors, and what its images resemble."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from gan_tf.utils.files import write_atomic
from gan_tf.utils.images import to_rgb
from gan_tf.utils.plots import default_style, to_png

_DPI = 100
_SCALE = 8  # pixels of an animation for each pixel of an image
_MILLISECONDS = 60  # of a frame
_LAST_MILLISECONDS = 1500


def render_reverse_process(images: np.ndarray, timesteps: Sequence[int]) -> bytes:
    """Draws x_t at several timesteps side by side.

    Args:
        images: uint8 ``[n, height, width, channels]``.
        timesteps: t of each image.

    Returns:
        A PNG image.
    """
    return _render_rows([images], [[f"t = {t}" for t in timesteps]])


def render_neighbors(images: np.ndarray, neighbors: np.ndarray, distances: np.ndarray) -> bytes:
    """Draws generated images, and below each the nearest real image with its distance.

    Args:
        images: uint8 ``[n, height, width, channels]``.
        neighbors: the same shape.
        distances: root mean square differences of their pixels, ``[n]``.

    Returns:
        A PNG image.
    """
    return _render_rows([images, neighbors], [[""] * len(images), [f"{distance:.1f}" for distance in distances]])


@default_style()
def render_losses(timesteps: Sequence[int], losses: Sequence[float]) -> bytes:
    """Draws the mean squared error of the prediction against t; returns a PNG image."""
    figure = Figure(figsize=(6.4, 4.0), dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.plot(timesteps, losses, marker=".")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("t")
    axes.set_ylabel("mean squared error of the prediction")
    axes.grid(alpha=0.3)
    return to_png(figure)


def write_animation(path: Path, frames: np.ndarray) -> None:
    """Writes images uint8 ``[n, height, width, channels]`` as an animated WebP file, enlarged, the last one longer.

    Raises:
        UserError: it cannot be written.
    """
    enlarged = to_rgb(frames).repeat(_SCALE, axis=1).repeat(_SCALE, axis=2)
    first, *others = (Image.fromarray(frame) for frame in enlarged)
    durations = [_MILLISECONDS] * len(others) + [_LAST_MILLISECONDS]
    data = io.BytesIO()
    first.save(data, "WEBP", save_all=True, append_images=others, duration=durations, loop=0, lossless=True)
    write_atomic(path, data.getvalue())


@default_style()
def _render_rows(rows: Sequence[np.ndarray], titles: Sequence[Sequence[str]]) -> bytes:
    """Draws rows of images with a title above each."""
    columns = len(rows[0])
    figure = Figure(figsize=(1.2 * columns, 1.4 * len(rows)), dpi=_DPI, layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for row, (images, texts) in enumerate(zip(rows, titles, strict=True)):
        for column, (image, text) in enumerate(zip(to_rgb(images), texts, strict=True)):
            axes[row, column].imshow(image)
            axes[row, column].set_title(text, fontsize=9)
            axes[row, column].set_axis_off()
    return to_png(figure)
