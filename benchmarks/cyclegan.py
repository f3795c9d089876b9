"""Compares one CycleGAN training step (all four networks, Adam) with the same step in PyTorch.

    python benchmarks/cyclegan.py --peer PYTHON [--cases 128-32,128-64,256-64] [--turns 20] [--json FILE]

A case is crop size and hidden_dim; six residual blocks and batch 1, as in the paper. PYTHON is the interpreter of an
environment with PyTorch and NumPy (default: the one this runs in). Our side is the model as it is trained, with its pool of
images, EMA, logs and finite check, which the peer leaves out. Before anything is timed, both must have equal numbers of
parameters, and equal losses from the same weights and images. The peer runs in the fastest of several modes: passes of one
network joined to a batch or not, channels_last or not, and with --compiled also compiled.

Both processes exist at the same time on the same cores with the same number of threads, and run strictly in turn. A ratio
above 1 means that ours is faster: it is the median over the turns of (peer's seconds / our seconds), with its 95 % CI.
"""

import argparse
import dataclasses
import json
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks._turns import (
    MIN_TURNS,
    Worker,
    WorkerError,
    calls_per_turn,
    check_names,
    check_numbers,
    format_ci,
    measure_in_turn,
    median_ci,
)
from gan_tf.cyclegan.config import CycleGanConfig
from gan_tf.tasks import YOSEMITE
from pipelines.errors import UserError

PRECISIONS = ("float32", "bfloat16")
HERE = Path(__file__).resolve().parent
HEADER = "| crop | hidden_dim | precision | ours, s/step | peer, s/step | ours / peer [95 % CI] | peer's mode |\n|" + 7 * "---|"
_TOLERANCE = {"float32": 1e-4, "bfloat16": 0.05}  # relative, of the first step's losses


def resolve_config(case: str, precision: str) -> CycleGanConfig:
    """Returns the configuration of a case, such as "128-32".

    Raises:
        UserError: it is not crop size and hidden_dim, or they are not possible.
    """
    crop, _, width = case.partition("-")
    if not (crop.isdecimal() and width.isdecimal()):
        raise UserError(f"--cases {case} is not valid: crop size and hidden_dim are needed", "Use --cases 128-32,256-64")
    options = {"crop_size": int(crop), "load_size": int(crop), "hidden_dim": int(width), "precision": precision}
    return YOSEMITE.family.resolve(YOSEMITE, {}, options).config


def check_equivalence(ours: dict, theirs: dict, precision: str) -> None:
    """Checks that two workers have built the same networks and computed the same losses in their first steps.

    Raises:
        WorkerError: numbers of parameters or losses differ.
    """
    if ours["parameters"] != theirs["parameters"]:
        raise WorkerError(f"the networks differ: {ours['parameters']} parameters here, {theirs['parameters']} in the peer")
    for name, value in ours["losses"].items():
        other = theirs["losses"][name]
        if not abs(value - other) <= _TOLERANCE[precision] * abs(value):
            raise WorkerError(f"the steps differ: {name} is {value:.6g} here, {other:.6g} in the peer")


def measure(config: CycleGanConfig, args: argparse.Namespace, cores: set[int]) -> dict:
    """Measures one case: builds both sides, checks that they are equivalent, and times them in turn.

    Raises:
        WorkerError: a side failed, or the two are not equivalent.
    """
    values = dataclasses.asdict(config)
    with (
        tempfile.TemporaryDirectory() as folder,
        Worker([sys.executable, str(HERE / "_cyclegan_ours.py")], cores) as ours,
        Worker([args.peer, str(HERE / "_cyclegan_torch.py")], cores) as peer,
    ):
        start = f"{folder}/start.npz"
        own = ours.request("build", config=values, threads=len(cores), start=start)
        other = peer.request("build", config=values, threads=len(cores), start=start)
        check_equivalence(own, other, config.precision)
        fastest = peer.request("choose", compiled=args.compiled)
        for line in fastest["tried"]:
            print(f"peer, {line}", file=sys.stderr)
        ours.request("steps", count=1)
        counts = {
            "ours": calls_per_turn(args.turn_seconds, ours.request("steps", count=1)["seconds"]),
            "peer": calls_per_turn(args.turn_seconds, fastest["seconds"]),
        }
        functions = {
            "ours": lambda: ours.request("steps", count=counts["ours"])["seconds"] / counts["ours"],
            "peer": lambda: peer.request("steps", count=counts["peer"])["seconds"] / counts["peer"],
        }
        results = measure_in_turn(functions, args.turns, f"{config.crop_size} pixels, hidden_dim {config.hidden_dim}")
    return {
        "config": values,
        "parameters": own["parameters"],
        "versions": [own["version"], other["version"]],
        "peer": {"mode": fastest["mode"], "tried": fastest["tried"]},
        "ratio": median_ci(results["peer"] / results["ours"]),
        "seconds_per_step": {name: seconds.tolist() for name, seconds in results.items()},
    }


def format_row(case: dict) -> str:
    """Returns a case as a row of the table."""
    seconds = {name: np.array(values) for name, values in case["seconds_per_step"].items()}
    config = case["config"]
    cells = [config["crop_size"], config["hidden_dim"], config["precision"]]
    cells += [f"{np.median(seconds[name]):.3f}" for name in ("ours", "peer")]
    return "| " + " | ".join(map(str, [*cells, format_ci(seconds["peer"] / seconds["ours"]), case["peer"]["mode"]])) + " |"


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Returns the arguments, checked.

    Raises:
        UserError: a value that is not allowed.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", metavar="PYTHON", default=sys.executable, help="an interpreter that has PyTorch")
    parser.add_argument("--cases", default="128-32,128-64,256-64", help="crop sizes and hidden_dims (default: %(default)s)")
    parser.add_argument("--precision", default="float32,bfloat16", help="some of: %(default)s (default: both)")
    parser.add_argument("--compiled", action="store_true", help="try the peer compiled too, which takes minutes")
    parser.add_argument("--turns", type=int, default=MIN_TURNS, help="of each side, at least 2 (default: %(default)s)")
    about = "minimum duration of a turn, which consists of whole steps (default: %(default)s)"
    parser.add_argument("--turn-seconds", type=float, default=0.5, metavar="S", help=about)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements")
    args = parser.parse_args(argv)
    args.precision = args.precision.split(",")
    check_names(args, precision=PRECISIONS)
    check_numbers(args, turns=(2, 10**6))
    args.cases = [resolve_config(case, precision) for precision in args.precision for case in args.cases.split(",")]
    return args


def main(argv: list[str] | None = None) -> int:
    """Measures and prints the table; returns the exit code."""
    try:
        args = parse_arguments(argv)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    cores, done, num_failed = os.sched_getaffinity(0), [], 0
    for config in args.cases:
        try:
            done.append(measure(config, args, cores))
        except WorkerError as error:
            num_failed += 1
            print(f"\n{config.crop_size} pixels, hidden_dim {config.hidden_dim}: not measured: {error}", file=sys.stderr)
            continue
        if len(done) == 1:
            print(f"{', '.join(done[0]['versions'])}; {len(cores)} cores, batch 1, {args.turns} turns\n\n{HEADER}")
        print(format_row(done[-1]), flush=True)
        if args.json:
            args.json.write_text(json.dumps({"cores": len(cores), "cases": done}, indent=1) + "\n")
    if args.turns < MIN_TURNS:
        print(f"\nPreliminary: the confidence intervals need at least {MIN_TURNS} turns.")
    return 1 if num_failed else 0


if __name__ == "__main__":
    sys.exit(main())
