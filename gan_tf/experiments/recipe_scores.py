"""``python -m gan_tf.experiments.recipe_scores RUN …``: the scores of one run's exported generator, for ``recipes``.

They are ``fid_train`` and ``kid_train`` of ``train.py --eval-every``: the same function, count, draw of training images
and noise seed, of the averaged generator as it was exported. A process of its own, so its memory is given back.
"""

import math
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gan_tf.cli.main import Parser, guarded
from gan_tf.options import GanSettings, RunSettings
from gan_tf.tasks import find
from gan_tf.training.run_dir import read_config
from gan_tf.utils.files import write_json
from gan_tf.utils.tf_import import import_tensorflow

SAMPLES = 8  # images of a row of the picture


def score_run(folder: Path, data: Path, count: int) -> tuple[dict[str, Any], Any]:
    """Scores a run's exported generator against training images.

    Args:
        folder: the run.
        data: what ``--data`` was.
        count: images on either side; fewer where there are fewer training images.

    Returns:
        ``fid``, ``kid``, ``images`` (the count used), ``parameters`` of both networks, ``protocol``; and sample images,
        uint8 ``[SAMPLES, height, width, channels]``.

    Raises:
        InputError: where the run, the images or the FID network's weights are not there.
    """
    import_tensorflow()
    from gan_tf.cli.train import open_data
    from gan_tf.gan.latents import noises
    from gan_tf.gan.sampling import generate
    from gan_tf.training import callbacks as scoring

    config = read_config(folder)
    task, seed = find(config["task"]), GanSettings.seed  # one draw for all recipes, whatever their own seeds
    # The budget decides whether damaged files are left out or replaced.
    source = open_data(task, data, RunSettings.memory_budget, config)
    generator, settings = pkgutil.resolve_name(task.workflow).load(folder, task)

    def sample(number: int):
        return generate(generator, noises(number, settings.latent, seed))

    values: dict[str, float] = {}
    writers = SimpleNamespace(scalars=lambda step, scores: values.update(scores))
    scoring.scorer(source, count, seed, sample, writers, SimpleNamespace(state={}), lambda step: None)(0)
    extractor = scoring.fid_extractor()
    protocol = {name: getattr(extractor, name) for name in ("name", "weights_sha256", "protocol", "resize", "warning")}
    scores = {"fid": values["fid_train"], "kid": values["kid_train"], "images": min(count, len(source)), "seed": seed}
    return {**scores, "parameters": parameters(task, settings), "protocol": protocol}, sample(SAMPLES)


def parameters(task, settings: GanSettings) -> dict[str, int]:
    """How many trainable numbers each network has."""
    method = pkgutil.resolve_name(task.workflow).build(task, settings)
    networks = {"generator": method.generator, "discriminator": method.discriminator}
    return {name: sum(math.prod(v.shape) for v in n.trainable_variables) for name, n in networks.items()}


def run(words: Sequence[str]) -> int:
    """What the command does; returns the exit code."""
    parser = Parser(prog="python -m gan_tf.experiments.recipe_scores", description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN", help="the run folder")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="its training images")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="where the scores go, as JSON")
    parser.add_argument("--samples", type=Path, required=True, metavar="FILE", help="where a row of samples goes, as PNG")
    args = parser.parse(words)
    scores, samples = score_run(args.run, args.data, RunSettings.eval_count)
    from gan_tf.utils.images import grid, write_png

    write_png(args.samples, grid(samples, 1, len(samples)))
    write_json(args.out, scores)
    return 0


if __name__ == "__main__":
    sys.exit(guarded(run, None))
