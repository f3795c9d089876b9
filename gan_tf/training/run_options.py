"""How a run is logged and kept. Free of TensorFlow."""

from dataclasses import dataclass

from gan_tf.options import option


@dataclass(frozen=True)
class RunOptions:
    """Logging, checkpoints and scores during training. On resume each stays, unless it is given again.

    None decides a weight, but for ``memory_budget`` where files are damaged: they are left out, or replaced while training.
    """

    log_every: int = option(10, "steps between points of the curves", minimum=1)
    grid_every: int = option(500, "steps between sample grids, and between drawings of the curves (0: none)", minimum=0)
    checkpoint_every: int = option(500, "steps between checkpoints", minimum=1)
    keep_every: int = option(0, "keep the checkpoint of every Nth step permanently (0: of none)", minimum=0)
    eval_every: int = option(0, "steps between FIDs against training images (0: never)", minimum=0)
    score: bool = option(True, "after the last step, score the weights as evaluate.py does")
    eval_count: int = option(2000, "images of --eval-every", minimum=2, maximum=1_000_000)
    memory_budget: float = option(4000.0, "hold decoded images in memory up to this many megabytes", minimum=0.0)
