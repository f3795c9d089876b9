"""Compares a diffusion model's training step, and an evaluation of its network as sampling does it, with PyTorch.

    python benchmarks/diffusion.py --peer PYTHON [--precision float32,bfloat16] [--hidden-dim 64] [--turns 20] [--json FILE]

PYTHON is the interpreter of an environment with PyTorch and NumPy (default: the one this runs in). Our step is the model as it
is trained, with its EMA, logs and finite check, which the peer leaves out. Before anything is timed, both must have equal
numbers of parameters, and an equal loss from the same weights, images and noise. The peer runs in the fastest of several
modes: channels_last or not, and with --compiled also compiled. Evaluations are in float32, of 25 images with and without
their label in one batch, as sampling with guidance does it.

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
)
from gan_tf.diffusion.config import DiffusionConfig
from gan_tf.tasks import DIFFUSION
from pipelines.errors import UserError

PRECISIONS = ("float32", "bfloat16")
WORK = {"steps": "training step", "evaluations": "evaluation"}
HERE = Path(__file__).resolve().parent
HEADER = "| what | precision | ours, ms | peer, ms | ours / peer [95 % CI] | peer's mode |\n|" + 6 * "---|"
_TOLERANCE = {"float32": 1e-4, "bfloat16": 0.02}  # relative, of the first step's loss


def check_equivalence(ours: dict, theirs: dict, precision: str) -> None:
    """Checks that two workers have built the same network and computed the same loss.

    Raises:
        WorkerError: numbers of parameters or losses differ.
    """
    if ours["parameters"] != theirs["parameters"]:
        raise WorkerError(f"the networks differ: {ours['parameters']} parameters here, {theirs['parameters']} in the peer")
    value, other = ours["losses"]["loss"], theirs["losses"]["loss"]
    if not abs(value - other) <= _TOLERANCE[precision] * abs(value):
        raise WorkerError(f"the steps differ: the loss is {value:.6g} here, {other:.6g} in the peer")


def measure(config: DiffusionConfig, args: argparse.Namespace, cores: set[int]) -> list[dict]:
    """Measures one configuration: builds both sides, checks that they are equivalent, and times them in turn.

    Raises:
        WorkerError: a side failed, or the two are not equivalent.
    """
    values, cases = dataclasses.asdict(config), []
    with (
        tempfile.TemporaryDirectory() as folder,
        Worker([sys.executable, str(HERE / "_diffusion_ours.py")], cores) as ours,
        Worker([args.peer, str(HERE / "_diffusion_torch.py")], cores) as peer,
    ):
        start = f"{folder}/start.npz"
        own = ours.request("build", config=values, threads=len(cores), start=start)
        other = peer.request("build", config=values, threads=len(cores), start=start)
        check_equivalence(own, other, config.precision)
        fastest = peer.request("choose", compiled=args.compiled)
        for line in fastest["tried"]:
            print(f"peer, {line}", file=sys.stderr)
        for name in WORK:
            ours.request(name, count=1)
            workers = {"ours": ours, "peer": peer}
            seconds = {"ours": ours.request(name, count=1)["seconds"], "peer": fastest["seconds"][name]}
            counts = {side: calls_per_turn(args.turn_seconds, seconds[side]) for side in workers}

            def call(side: str, name: str = name, counts: dict = counts, workers: dict = workers) -> float:
                return workers[side].request(name, count=counts[side])["seconds"] / counts[side]

            functions = {"ours": lambda call=call: call("ours"), "peer": lambda call=call: call("peer")}
            results = measure_in_turn(functions, args.turns, WORK[name])
            case = {
                "what": name,
                "config": values,
                "mode": fastest["modes"][name],
                "versions": [own["version"], other["version"]],
            }
            cases.append(case | {"seconds": {side: result.tolist() for side, result in results.items()}})
    return cases


def format_row(case: dict) -> str:
    """Returns a case as a row of the table."""
    seconds = {side: np.array(values) for side, values in case["seconds"].items()}
    precision = case["config"]["precision"] if case["what"] == "steps" else "float32"
    cells = [WORK[case["what"]], precision, *(f"{1000 * np.median(seconds[side]):.1f}" for side in ("ours", "peer"))]
    return "| " + " | ".join([*cells, format_ci(seconds["peer"] / seconds["ours"]), case["mode"]]) + " |"


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Returns the arguments, checked.

    Raises:
        UserError: a value that is not allowed.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", metavar="PYTHON", default=sys.executable, help="an interpreter that has PyTorch")
    parser.add_argument("--precision", default="float32,bfloat16", help="some of: %(default)s (default: both)")
    parser.add_argument("--hidden-dim", type=int, default=64, help="the network's width (default: %(default)s)")
    parser.add_argument("--compiled", action="store_true", help="try the peer compiled too, which takes minutes")
    parser.add_argument("--turns", type=int, default=MIN_TURNS, help="of each side, at least 2 (default: %(default)s)")
    about = "minimum duration of a turn, which consists of whole calls (default: %(default)s)"
    parser.add_argument("--turn-seconds", type=float, default=0.5, metavar="S", help=about)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements")
    args = parser.parse_args(argv)
    args.precision = args.precision.split(",")
    check_names(args, precision=PRECISIONS)
    check_numbers(args, turns=(2, 10**6), hidden_dim=(1, 1024))
    return args


def main(argv: list[str] | None = None) -> int:
    """Measures and prints the table; returns the exit code."""
    try:
        args = parse_arguments(argv)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    cores, cases, num_failed = os.sched_getaffinity(0), [], 0
    for precision in args.precision:
        options = {"hidden_dim": args.hidden_dim, "precision": precision}
        try:
            measured = measure(DIFFUSION.family.resolve(DIFFUSION, {}, options).config, args, cores)
        except WorkerError as error:
            num_failed += 1
            print(f"\n{precision}: not measured: {error}", file=sys.stderr)
            continue
        if not cases:
            print(f"{', '.join(measured[0]['versions'])}; {len(cores)} cores, {args.turns} turns\n\n{HEADER}")
        cases += measured
        print("\n".join(map(format_row, measured)), flush=True)
        if args.json:
            args.json.write_text(json.dumps({"cores": len(cores), "cases": cases}, indent=1) + "\n")
    if args.turns < MIN_TURNS:
        print(f"\nPreliminary: the confidence intervals need at least {MIN_TURNS} turns.")
    return 1 if num_failed else 0


if __name__ == "__main__":
    sys.exit(main())
