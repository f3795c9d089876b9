"""One whole GAN training step (D's updates, G's, moving average, optimisers) against the same step in PyTorch.

    python benchmarks/train_step.py --peer PYTHON [--losses gan,hinge] [--widths 64,shipped] [--turns 20] [--json FILE]

PYTHON is the interpreter of an environment with PyTorch and NumPy (default: the one this runs in). StepWorker is the method as
it trains, ``training.loop.build_step_function`` of what the task's recipes give. The peer has the same networks and the same
mathematics, checked before anything is timed: as many parameters, and the same losses from the same weights, noise and
images. It shares what ours shares (fakes made once for D and G; R1 and R2 in one gradient), leaves out our readings and
our guard, and runs the fastest way found on the spot: eager or compiled, channels_last or not, fused or foreach Adam,
real and fake images through D apart, in one batch, or in the very pass that gives the penalty's gradient.

Both processes live at the same time on the same cores with as many threads, and work strictly in turn. A ratio above 1
says that ours is faster: the median over the turns of (peer's seconds / our seconds) with its 95 % bounds. "of matmul" is
the rate of the step's necessary multiply-adds (convolutions and matrix products alone; ``_step_ours.multiply_adds`` says
how they are counted) as a share of one 4096 x 4096 matrix product's in the same precision, measured in the same turns.
A step counts as one batch of images, however often D is updated. All cases take about an hour on two cores.
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
    median_ci,
    take_turns,
    format_ci,
)
from gan_tf.gan.config import GanConfig
from gan_tf.tasks import find_task
from gan_tf.training.environment import cpu_features
from pipelines.errors import UserError

TASK = "anime"
LOSSES = ("gan", "wgangp", "rpgan", "hinge")
PRECISIONS = ("float32", "bfloat16")
PAPER = 64  # channels next to the image in Radford et al. 2016
HERE = Path(__file__).resolve().parent


def resolve_config(loss: str, hidden_dim: int, precision: str, **options) -> GanConfig:
    """Returns the configuration of ``train.py --task anime --loss LOSS --hidden-dim H --precision P``.

    Raises:
        UserError: the options conflict.
    """
    task = find_task(TASK)
    options = {"loss": loss, "hidden_dim": hidden_dim, "precision": precision, **options}
    return task.family.resolve(task, {}, options).config


def shipped_width() -> int:
    """Returns ``hidden_dim`` of the weights that the task uses by default."""
    task = find_task(TASK)
    card = ROOT / "gan_tf" / "weights" / task.name / task.default_variant / "card.json"
    return json.loads(card.read_text())["config"]["hidden_dim"]


def check_equivalence(ours: dict, theirs: dict, config: GanConfig) -> float:
    """The greatest relative difference of the first step's losses, once parameters and losses are known to agree.

    What comes after an update of D agrees less: Adam divides by the gradient's size, which magnifies rounding, and the power
    iterations of the two spectral norms part a little.

    Raises:
        WorkerError: they don't.
    """
    if ours["parameters"] != theirs["parameters"]:
        raise WorkerError(f"the networks differ: {ours['parameters']} parameters here, {theirs['parameters']} in the peer")
    before, after = (1e-3, 3e-2) if config.precision == "float32" else (0.1, 0.1)
    allowed = dict.fromkeys(("d_loss", "penalty"), before if config.d_steps == 1 else after) | {"g_loss": after}
    apart = 0.0
    for name, value in ours["losses"].items():
        other = theirs["losses"][name]
        difference = abs(value - other) / max(abs(value), abs(other), 0.05)
        if not math.isfinite(difference) or difference > allowed[name]:
            raise WorkerError(f"the steps differ: {name} is {value:.6g} here, {other:.6g} in the peer")
        apart = max(apart, difference)
    return apart


def measure(config: GanConfig, args: argparse.Namespace, cores: set[int]) -> dict:
    """One case: builds both, checks that they are the same, lets them take turns.

    Raises:
        WorkerError: a side failed, or the two aren't the same.
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
        apart = check_equivalence(own, other, config)
        chosen = peer.request("choose")
        for line in chosen["tried"]:
            print(f"peer, {line}", file=sys.stderr)
        ours.request("steps", count=2)
        counts = {
            "ours": calls_per_turn(args.turn_seconds, ours.request("steps", count=1)["seconds"]),
            "peer": calls_per_turn(args.turn_seconds, chosen["seconds"]),
        }
        ours.request("rate", precision=precision)
        parties = {
            "ours": lambda: ours.request("steps", count=counts["ours"])["seconds"] / counts["ours"],
            "peer": lambda: peer.request("steps", count=counts["peer"])["seconds"] / counts["peer"],
            "matmul": lambda: ours.request("rate", precision=precision)["multiply_adds_per_second"],
        }
        readings = take_turns(parties, args.turns, f"{config.loss}, hidden {config.hidden_dim}, {precision}")
    return {
        "loss": config.loss,
        "hidden_dim": config.hidden_dim,
        "precision": precision,
        "batch": config.batch,
        "config": values,
        "parameters": own["parameters"],
        "multiply_adds": own["multiply_adds"],
        "first_step_apart": apart,
        "versions": [own["version"], other["version"]],
        "peer": {"way": chosen["way"], "tried": chosen["tried"]},
        "ratio": median_ci(readings["peer"] / readings["ours"]),
        "of_matmul": median_ci(own["multiply_adds"] / readings["ours"] / readings["matmul"]),
        "steps_a_turn": counts,
        "seconds_a_step": {name: readings[name].tolist() for name in ("ours", "peer")},
        "matmul_multiply_adds_per_second": readings["matmul"].tolist(),
    }


HEADER = (
    "| loss | hidden | precision | ours, images/s | peer, images/s | ours / peer [95 %] | of matmul | the peer's way |\n"
    "|---|---|---|---|---|---|---|---|"
)


def format_row(case: dict) -> str:
    """A case as a row of the table."""
    seconds = {name: np.array(taken) for name, taken in case["seconds_a_step"].items()}
    rates = {name: case["batch"] / np.median(taken) for name, taken in seconds.items()}
    ratio = format_ci(seconds["peer"] / seconds["ours"])
    cells = [case["loss"], case["hidden_dim"], case["precision"], f"{rates['ours']:.1f}", f"{rates['peer']:.1f}", ratio]
    return "| " + " | ".join(map(str, [*cells, f"{case['of_matmul'][0]:.0%}", case["peer"]["way"]])) + " |"


def parse_arguments(words: list[str] | None) -> argparse.Namespace:
    """The command line, checked.

    Raises:
        UserError: for a value that can't be measured.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", metavar="PYTHON", default=sys.executable, help="an interpreter that has PyTorch")
    parser.add_argument("--losses", default=",".join(LOSSES), help="some of: %(default)s (default: all)")
    parser.add_argument("--widths", default=f"{PAPER},shipped", help="channels next to the image (default: %(default)s)")
    about = "float32, bfloat16 or both with a comma (default: float32, and bfloat16 where the processor has units for it)"
    parser.add_argument("--precision", help=about)
    parser.add_argument("--batch", type=int, default=64, help="images a step (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=MIN_TURNS, help="of each side, at least 2 (default: %(default)s)")
    about = "least length of a turn; it holds whole steps (default: %(default)s)"
    parser.add_argument("--turn-seconds", type=float, default=0.5, metavar="S", help=about)
    parser.add_argument("--threads", type=int, metavar="N", help="cores and threads of each side (default: all allowed)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every reading there")
    args = parser.parse_args(words)
    units = {"avx512_bf16", "amx_bf16"} & set(cpu_features())
    args.precision = args.precision or ",".join(PRECISIONS[: 2 if units else 1])
    args.losses, args.precision = args.losses.split(","), args.precision.split(",")
    check_names(args, losses=LOSSES, precision=PRECISIONS)
    args.widths = [shipped_width() if word == "shipped" else word for word in args.widths.split(",")]
    if not all(str(width).isdecimal() and int(width) > 0 for width in args.widths):
        problem = "--widths is not valid: whole numbers of at least 1, or the word shipped, separated by commas, are needed"
        raise UserError(problem, "Correct the value")
    args.widths = list(dict.fromkeys(map(int, args.widths)))
    allowed = len(os.sched_getaffinity(0))
    check_numbers(args, turns=(2, 10**6), batch=(2, 10**6), threads=(1, allowed))
    return args


def main(words: list[str] | None = None) -> int:
    """Measures and prints the table; returns the exit code."""
    try:
        args = parse_arguments(words)
        cases = [resolve_config(x, w, p, batch=args.batch) for p in args.precision for w in args.widths for x in args.losses]
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    cores = set(sorted(os.sched_getaffinity(0))[: args.threads])
    done, failed = [], 0
    for config in cases:
        try:
            done.append(measure(config, args, cores))
        except WorkerError as error:
            failed += 1
            print(f"\n{config.loss}, hidden {config.hidden_dim}: not measured: {error}", file=sys.stderr)
            continue
        if len(done) == 1:
            print(f"{', '.join(done[0]['versions'])}; {len(cores)} cores, batch {args.batch}, {args.turns} turns\n\n{HEADER}")
        print(format_row(done[-1]), flush=True)
        if args.json:
            args.json.write_text(json.dumps({"cores": len(cores), "cpu": cpu_features(), "cases": done}, indent=1) + "\n")
    if args.turns < MIN_TURNS:
        print(f"\nA first look: the bounds are worth something from {MIN_TURNS} turns on.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
