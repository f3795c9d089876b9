"""The pictures in the folder of a CycleGAN's run. Free of TensorFlow."""

from typing import TYPE_CHECKING

from gan_tf.family import SAMPLE_GRIDS, Figure, RunFigures

if TYPE_CHECKING:
    from gan_tf.cyclegan.config import CycleGanConfig


def describe_figures(config: "CycleGanConfig") -> RunFigures:
    """Returns the triptychs, and the training images of both domains."""
    grid = Figure(
        SAMPLE_GRIDS,
        "Translations",
        "Two triptychs in each row, of the same training images each time: A, its translation to B, and that translated back "
        "to A; then B, its translation to A, and that translated back to B.",
        "There are no translations yet: train.py writes a picture every --grid-every steps, and none with --grid-every 0.",
    )
    reals = tuple(
        Figure(
            f"images/reals-{domain}.png",
            f"Domain {domain.upper()}",
            f"Random crops of {config.crop_size}x{config.crop_size} pixels from domain {domain.upper()}: the first batch.",
            f"There is no picture of domain {domain.upper()}: train.py writes it at step 0, unless --grid-every is 0.",
        )
        for domain in ("a", "b")
    )
    return RunFigures(grid, others=reals)
