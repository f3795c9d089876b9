"""The pictures in the folder of a diffusion model's run. Free of TensorFlow."""

from typing import TYPE_CHECKING

from gan_tf.family import SAMPLE_GRIDS, Figure, RunFigures

if TYPE_CHECKING:
    from gan_tf.diffusion.config import DiffusionConfig

_AT_THE_END = "train.py writes it where the training ends or is stopped, unless --grid-every is 0."


def describe_figures(config: "DiffusionConfig") -> RunFigures:
    """Returns the sample grids, the reverse process and what else is drawn at the end of the training."""
    layout = "digits in rows, latents in columns" if config.classes else "without labels"
    grid = Figure(
        SAMPLE_GRIDS,
        "Samples",
        f"Images of the network's EMA, {layout}; the latents are the same each time.",
        "There is no sample grid yet: train.py writes one every --grid-every steps, and none with --grid-every 0.",
    )
    reals = Figure(
        "images/reals.png",
        "Training images",
        "Images of the first batch.",
        "There is no picture of training images: train.py writes it at step 0, unless --grid-every is 0.",
    )
    figures = [
        _figure("reverse-process.png", "Reverse process", "The first image at some of the timesteps, from noise on the left."),
        _figure("reverse-process.webp", "Reverse process, moving", "The first image on its way from noise, as an animation."),
        _figure("loss-by-timestep.png", "Error by timestep", "Mean squared error of the prediction against t."),
        _figure("nearest.png", "Nearest training images", "Generated images, and below each the nearest training image."),
    ]
    if config.classes == 10:
        figures.append(_figure("confusion.png", "Confusion matrix", "Requested digits against those that a classifier reads."))
    return RunFigures(grid, (reals,), tuple(figures))


def _figure(name: str, title: str, caption: str) -> Figure:
    return Figure(f"figures/{name}", title, caption, f"“{title}” is missing: {_AT_THE_END}")
