"""The pictures in the folder of a GAN's run. Free of TensorFlow."""

from typing import TYPE_CHECKING

from gan_tf.family import SAMPLE_GRIDS, Figure, RunFigures

if TYPE_CHECKING:
    from gan_tf.gan.config import GanConfig


def describe_figures(config: "GanConfig") -> RunFigures:
    """Returns the sample grids and the real images beside them."""
    grid = Figure(
        SAMPLE_GRIDS,
        "Samples",
        f"The generator's EMA at the same 64 latent vectors each time, those of seed {config.seed}. Row by row they are images "
        f"0 to 63 of infer.py --seed {config.seed}; the first four rows are its first 32 images.",
        "There is no sample grid yet: train.py writes one every --grid-every steps, and none with --grid-every 0.",
    )
    reals = Figure(
        "images/reals.png",
        "Real images",
        "Training images of the first batch, as the discriminator sees them.",
        "There is no picture of real images: train.py writes it at step 0, unless --grid-every is 0.",
    )
    return RunFigures(grid, (reals,))
