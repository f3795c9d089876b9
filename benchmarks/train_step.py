"""Compares one GAN training step (updates of D and G, EMA, optimizers) with the same step in PyTorch.

    python benchmarks/train_step.py --peer PYTHON [--losses gan,hinge] [--hidden-dims 64,shipped] [--turns 20] [--json FILE]

PYTHON is the interpreter of an environment with PyTorch and NumPy (default: the one this runs in). Our side is the GAN as
it is trained: ``training.loop.build_step_function`` with the task's configuration of each loss. The peer has the same
networks and computes the same step, which is checked before anything is timed: equal numbers of parameters, and equal
losses from the same weights, latents and images. It has the same optimizations (D and G share fakes; R1 and R2 share a
gradient), leaves out our metrics and finite check, and runs in the fastest of several modes: eager or compiled,
channels_last or not, fused or foreach Adam, D applied to real and fake images separately, as one batch, or as one batch
whose forward pass also serves the penalty.

Both processes exist at the same time on the same cores with the same number of threads, and run strictly in turn. A ratio
above 1 means that ours is faster: it is the median over the turns of (peer's seconds / our seconds), with its 95 % CI.
"of matmul" is the rate of the step's necessary multiply-adds (convolutions and matrix products only;
``_step_ours.multiply_adds`` explains how they are counted) as a fraction of the rate of a 4096 x 4096 matrix product in the
same precision, measured in the same turns. A step counts as one batch of images, however often D is updated. All cases take
about an hour on two cores.
"""

import argparse
import dataclasses
import json
import math
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks._turns import (
    MIN_TURNS,
    ROOT,
    Worker,
    WorkerError,
    calls_per_turn,
    check_names,
    check_numbers,
    format_ci,
    measure_in_turn,
    median_ci,
)
from gan_tf.gan.config import GanConfig
from gan_tf.tasks import find_task
from gan_tf.utils.tf_import import import_tensorflow
from pipelines.errors import UserError

TASK = "anime"
LOSSES = ("gan", "wgangp", "rpgan", "hinge")
PRECISIONS = ("float32", "bfloat16")
PAPER_HIDDEN_DIM = 64  # channels next to the image in Radford et al. 2016
HERE = Path(__file__).resolve().parent


def cpu_features() -> list[str]:
    """Returns the vector extensions of the CPU; see ``gan_tf.training.environment``, which loads TensorFlow."""
    import_tensorflow()
    from gan_tf.training import environment

    return environment.cpu_features()


def default_precision() -> str:
    """Returns the precision that train.py chooses on this machine; see ``gan_tf.training.environment``."""
    import_tensorflow()
    from gan_tf.training import environment

    return environment.fast_precision()


def resolve_config(loss: str, hidden_dim: int, precision: str, **options) -> GanConfig:
    """Returns the configuration of ``train.py --task anime --loss LOSS --hidden-dim H --precision P``.

    Raises:
        UserError: the options conflict.
    """
    task = find_task(TASK)
    options = {"loss": loss, "hidden_dim": hidden_dim, "precision": precision, **options}
    return task.family.resolve(task, {}, options).config


def shipped_hidden_dim() -> int:
    """Returns ``hidden_dim`` of the weights that the task uses by default."""
    task = find_task(TASK)
    card = ROOT / "gan_tf" / "weights" / task.name / task.default_variant / "card.json"
    return json.loads(card.read_text())["config"]["hidden_dim"]


def check_equivalence(ours: dict, theirs: dict, config: GanConfig) -> float:
    """Checks that two workers have built the same networks and computed the same losses in their first steps.

    Losses after an update of D agree less: Adam divides by the gradient's magnitude, which amplifies rounding errors, and
    the power iterations of the two spectral norms differ slightly.

    Returns:
        The largest relative difference of a loss.

    Raises:
        WorkerError: numbers of parameters or losses differ.
    """
    if ours["parameters"] != theirs["parameters"]:
        raise WorkerError(f"the networks differ: {ours['parameters']} parameters here, {theirs['parameters']} in the peer")
    before, after = (1e-3, 3e-2) if config.precision == "float32" else (0.1, 0.1)
    allowed = dict.fromkeys(("d_loss", "penalty"), before if config.d_steps == 1 else after) | {"g_loss": after}
    largest = 0.0
    for name, value in ours["losses"].items():
        other = theirs["losses"][name]
        difference = abs(value - other) / max(abs(value), abs(other), 0.05)
        if not math.isfinite(difference) or difference > allowed[name]:
            raise WorkerError(f"the steps differ: {name} is {value:.6g} here, {other:.6g} in the peer")
        largest = max(largest, difference)
    return largest


def measure(config: GanConfig, args: argparse.Namespace, cores: set[int]) -> dict:
    """Measures one case: builds both sides, checks that they are equivalent, and times them in turn.

    Raises:
        WorkerError: a side failed, or the two are not equivalent.
    """
    precision, values = config.precision, dataclasses.asdict(config)
    with (
        tempfile.TemporaryDirectory() as folder,
        Worker([sys.executable, str(HERE / "_step_ours.py")], cores) as ours,
        Worker([args.peer, str(HERE / "_step_torch.py")], cores) as peer,
    ):
        start = f"{folder}/start.npz"
        own = ours.request("build", config=values, task=TASK, threads=len(cores), start=start)
        other = peer.request("build", config=values, threads=len(cores), start=start)
        difference = check_equivalence(own, other, config)
        fastest = peer.request("choose")
        for line in fastest["tried"]:
            print(f"peer, {line}", file=sys.stderr)
        ours.request("steps", count=2)
        counts = {
            "ours": calls_per_turn(args.turn_seconds, ours.request("steps", count=1)["seconds"]),
            "peer": calls_per_turn(args.turn_seconds, fastest["seconds"]),
        }
        ours.request("rate", precision=precision)
        functions = {
            "ours": lambda: ours.request("steps", count=counts["ours"])["seconds"] / counts["ours"],
            "peer": lambda: peer.request("steps", count=counts["peer"])["seconds"] / counts["peer"],
            "matmul": lambda: ours.request("rate", precision=precision)["multiply_adds_per_second"],
        }
        results = measure_in_turn(functions, args.turns, f"{config.loss}, hidden_dim {config.hidden_dim}, {precision}")
    return {
        "loss": config.loss,
        "hidden_dim": config.hidden_dim,
        "precision": precision,
        "batch": config.batch,
        "config": values,
        "parameters": own["parameters"],
        "multiply_adds": own["multiply_adds"],
        "first_step_difference": difference,
        "versions": [own["version"], other["version"]],
        "peer": {"mode": fastest["mode"], "tried": fastest["tried"]},
        "ratio": median_ci(results["peer"] / results["ours"]),
        "of_matmul": median_ci(own["multiply_adds"] / results["ours"] / results["matmul"]),
        "steps_per_turn": counts,
        "seconds_per_step": {name: results[name].tolist() for name in ("ours", "peer")},
        "matmul_multiply_adds_per_second": results["matmul"].tolist(),
    }


HEADER = (
    "| loss | hidden_dim | precision | ours, images/s | peer, images/s | ours / peer [95 % CI] | of matmul | peer's mode |\n"
    "|---|---|---|---|---|---|---|---|"
)


def format_row(case: dict) -> str:
    """Returns a case as a row of the table."""
    seconds = {name: np.array(values) for name, values in case["seconds_per_step"].items()}
    rates = {name: case["batch"] / np.median(values) for name, values in seconds.items()}
    ratio = format_ci(seconds["peer"] / seconds["ours"])
    cells = [case["loss"], case["hidden_dim"], case["precision"], f"{rates['ours']:.1f}", f"{rates['peer']:.1f}", ratio]
    return "| " + " | ".join(map(str, [*cells, f"{case['of_matmul'][0]:.0%}", case["peer"]["mode"]])) + " |"


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Returns the arguments, checked.

    Raises:
        UserError: a value that is not allowed.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", metavar="PYTHON", default=sys.executable, help="an interpreter that has PyTorch")
    parser.add_argument("--losses", default=",".join(LOSSES), help="some of: %(default)s (default: all)")
    parser.add_argument(
        "--hidden-dims", default=f"{PAPER_HIDDEN_DIM},shipped", help="channels next to the image (default: %(default)s)"
    )
    about = "float32, bfloat16, or both separated by a comma (default: float32, and bfloat16 if the CPU has units for it)"
    parser.add_argument("--precision", help=about)
    parser.add_argument("--batch", type=int, default=64, help="images per step (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=MIN_TURNS, help="of each side, at least 2 (default: %(default)s)")
    about = "minimum duration of a turn, which consists of whole steps (default: %(default)s)"
    parser.add_argument("--turn-seconds", type=float, default=0.5, metavar="S", help=about)
    parser.add_argument("--threads", type=int, metavar="N", help="cores and threads of each side (default: all allowed)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements")
    args = parser.parse_args(argv)
    units = {"avx512_bf16", "amx_bf16"} & set(cpu_features())
    args.precision = args.precision or ",".join(PRECISIONS[: 2 if units else 1])
    args.losses, args.precision = args.losses.split(","), args.precision.split(",")
    check_names(args, losses=LOSSES, precision=PRECISIONS)
    values = [str(shipped_hidden_dim()) if value == "shipped" else value for value in args.hidden_dims.split(",")]
    if not all(value.isdecimal() and int(value) > 0 for value in values):
        problem = "--hidden-dims is not valid: whole numbers above 0, or the word shipped, separated by commas, are needed"
        raise UserError(problem, "Correct the value")
    args.hidden_dims = list(dict.fromkeys(map(int, values)))
    allowed = len(os.sched_getaffinity(0))
    check_numbers(args, turns=(2, 10**6), batch=(2, 10**6), threads=(1, allowed))
    return args


def main(argv: list[str] | None = None) -> int:
    """Measures and prints the table; returns the exit code."""
    try:
        args = parse_arguments(argv)
        cases = [
            resolve_config(loss, hidden_dim, precision, batch=args.batch)
            for precision in args.precision
            for hidden_dim in args.hidden_dims
            for loss in args.losses
        ]
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    cores = set(sorted(os.sched_getaffinity(0))[: args.threads])
    done, num_failed = [], 0
    for config in cases:
        try:
            done.append(measure(config, args, cores))
        except WorkerError as error:
            num_failed += 1
            print(f"\n{config.loss}, hidden_dim {config.hidden_dim}: not measured: {error}", file=sys.stderr)
            continue
        if len(done) == 1:
            print(f"{', '.join(done[0]['versions'])}; {len(cores)} cores, batch {args.batch}, {args.turns} turns\n\n{HEADER}")
        print(format_row(done[-1]), flush=True)
        if args.json:
            args.json.write_text(json.dumps({"cores": len(cores), "cpu": cpu_features(), "cases": done}, indent=1) + "\n")
    if args.turns < MIN_TURNS:
        print(f"\nPreliminary: the confidence intervals need at least {MIN_TURNS} turns.")
    return 1 if num_failed else 0


if __name__ == "__main__":
    sys.exit(main())
