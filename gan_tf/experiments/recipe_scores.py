"""``python -m gan_tf.experiments.recipe_scores RUN …`` scores one run's exported generator, for ``recipes``.

The scores are ``fid_train`` and ``kid_train`` of ``train.py --eval-every``, of the EMA generator as it was exported. It is
a process of its own, so that its memory is freed.
"""

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gan_tf.cli.arguments import Parser
from gan_tf.cli.main import run_command
from gan_tf.gan.config import GanConfig
from gan_tf.run_dir import read_run_config
from gan_tf.tasks import find_task
from gan_tf.training.run_options import RunOptions
from gan_tf.utils.files import write_json
from gan_tf.utils.tf_import import import_tensorflow
from pipelines.location import Location, open_data, parse_location

NUM_SAMPLES = 8  # images in a row of the comparison's image


def score_run(directory: Path, data: Location, count: int) -> tuple[dict[str, Any], np.ndarray]:
    """Scores a run's exported generator against training images, in the way of ``TrainingSetScores``.

    Args:
        directory: the run.
        data: the value of ``--data``.
        count: number of generated and of training images; fewer if there are fewer training images.

    Returns:
        ``fid``, ``kid``, ``images`` (the number used), ``seed``, ``parameters`` of both networks, ``protocol``; and sample
        images, uint8 ``[NUM_SAMPLES, height, width, channels]``.

    Raises:
        UserError: the run, the images or the weights of the FID network are missing.
    """
    import_tensorflow()
    from gan_tf.training.callbacks import TrainingSetMetrics
    from gan_tf.workflow import load_workflow

    seed = GanConfig.seed  # one sample of training images and latents for all recipes, whatever their own seeds
    workflow = load_workflow(find_task(read_run_config(directory)["task"]), directory)
    # The budget decides whether damaged files are left out or replaced.
    source = open_data(workflow.data_spec, data, "train", int(RunOptions.memory_budget * 1e6))["real"]
    generator = workflow.load(directory)
    metrics = TrainingSetMetrics(source, count, seed)
    fid, kid = metrics.compute(generator.generate(metrics.count, seed))
    extractor = metrics.extractor
    scores = {
        "fid": fid,
        "kid": kid,
        "images": metrics.count,
        "seed": seed,
        "parameters": {name: _count_parameters(network) for name, network in workflow.build_model().networks().items()},
        "protocol": {name: getattr(extractor, name) for name in ("name", "weights_sha256", "protocol", "resize", "warning")},
    }
    return scores, generator.generate(NUM_SAMPLES, seed)


def _count_parameters(network: Any) -> int:
    """Returns how many trainable numbers a network has."""
    return sum(math.prod(variable.shape) for variable in network.trainable_variables)


def run(argv: Sequence[str]) -> int:
    """Scores a run as the arguments say; returns the exit code.

    Raises:
        UserError: for whatever the user can fix.
    """
    parser = Parser(prog="python -m gan_tf.experiments.recipe_scores", description=__doc__ or "")
    parser.add_argument("run", type=Path, metavar="RUN", help="the run folder")
    parser.add_argument("--data", type=parse_location, required=True, metavar="DIR", help="its training images")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="JSON file for the scores")
    parser.add_argument("--samples", type=Path, required=True, metavar="FILE", help="PNG file for a row of samples")
    args = parser.parse(argv)
    scores, samples = score_run(args.run, args.data, RunOptions.eval_count)
    from gan_tf.utils.images import tile_images, write_png

    write_png(args.samples, tile_images(samples, 1, len(samples)))
    write_json(args.out, scores)
    return 0


if __name__ == "__main__":
    sys.exit(run_command(run, None))
