"""Times a training step of domain adaptation against the same step in PyTorch: ``python benchmarks/dann.py``.

Both compute the full method's step with the default networks from the same weights, images and dropout noise, which is
checked before anything is timed: equal numbers of parameters and equal losses. The peer leaves out our metrics and finite
check, and runs in the fastest of several modes: fused or foreach Adam, channels_last or not, eager or compiled. Both
processes exist at the same time on the same cores with the same number of threads, and run strictly in turn. A ratio above 1
means that ours is faster: it is the median over the turns of (peer's seconds / our seconds), with its 95 % CI.
"""

import argparse
import dataclasses
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks._turns import MIN_TURNS, Worker, WorkerError, calls_per_turn, check_numbers, format_ci, measure_in_turn
from gan_tf.dann.config import DannConfig, resolve_dann
from pipelines.errors import UserError

HERE = Path(__file__).resolve().parent
TOLERANCE = 1e-3  # relative, of the losses of the first step


def measure(config: DannConfig, args: argparse.Namespace, cores: set[int]) -> tuple[dict[str, np.ndarray], str]:
    """Builds both sides, checks that they are equivalent, and times them in turn.

    Returns:
        Seconds of a step by side, ``[turns]``; and the peer's mode with both versions.

    Raises:
        WorkerError: a side failed, or the two are not equivalent.
    """
    values = dataclasses.asdict(config)
    with (
        tempfile.TemporaryDirectory() as folder,
        Worker([sys.executable, str(HERE / "_dann_ours.py")], cores) as ours,
        Worker([args.peer, str(HERE / "_dann_torch.py")], cores) as peer,
    ):
        start = f"{folder}/start.npz"
        own = ours.request("build", config=values, threads=len(cores), start=start)
        other = peer.request("build", config=values, threads=len(cores), start=start)
        check_equivalence(own, other)
        fastest = peer.request("choose")
        for line in fastest["tried"]:
            print(f"peer, {line}", file=sys.stderr)
        ours.request("steps", count=2)
        counts = {
            "ours": calls_per_turn(args.turn_seconds, ours.request("steps", count=1)["seconds"]),
            "peer": calls_per_turn(args.turn_seconds, fastest["seconds"]),
        }
        functions = {
            "ours": lambda: ours.request("steps", count=counts["ours"])["seconds"] / counts["ours"],
            "peer": lambda: peer.request("steps", count=counts["peer"])["seconds"] / counts["peer"],
        }
        results = measure_in_turn(functions, args.turns, "full method")
    return results, f"{own['version']}, {other['version']}; peer: {fastest['mode']}"


def check_equivalence(ours: dict, theirs: dict) -> None:
    """Checks that two workers have built the same networks and computed the same losses in their first step.

    Raises:
        WorkerError: numbers of parameters or losses differ.
    """
    if ours["parameters"] != theirs["parameters"]:
        raise WorkerError(f"the networks differ: {ours['parameters']} parameters here, {theirs['parameters']} in the peer")
    for name, value in ours["losses"].items():
        other = theirs["losses"][name]
        if not abs(value - other) <= TOLERANCE * max(abs(value), 0.05):
            raise WorkerError(f"the steps differ: {name} is {value:.6g} here, {other:.6g} in the peer")


def main(argv: list[str] | None = None) -> int:
    """Measures and prints the result; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", metavar="PYTHON", default=sys.executable, help="an interpreter that has PyTorch")
    parser.add_argument("--batch", type=int, default=64, help="images of each domain per step (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=MIN_TURNS, help="of each side, at least 2 (default: %(default)s)")
    about = "minimum duration of a turn, which consists of whole steps (default: %(default)s)"
    parser.add_argument("--turn-seconds", type=float, default=0.5, metavar="S", help=about)
    parser.add_argument("--threads", type=int, metavar="N", help="cores and threads of each side (default: all allowed)")
    args = parser.parse_args(argv)
    try:
        check_numbers(args, turns=(2, 10**6), batch=(2, 10**6), threads=(1, len(os.sched_getaffinity(0))))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    cores = set(sorted(os.sched_getaffinity(0))[: args.threads])
    try:
        seconds, about = measure(resolve_dann({}, {}, {"batch": args.batch}).config, args, cores)
    except WorkerError as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 1
    print(f"{about}; {len(cores)} cores, batch {args.batch} + {args.batch}, {args.turns} turns")
    print(f"seconds of a step: ours {format_ci(seconds['ours'], 4)}, peer {format_ci(seconds['peer'], 4)}")
    print(f"ours / peer [95 % CI]: {format_ci(seconds['peer'] / seconds['ours'])}")
    if args.turns < MIN_TURNS:
        print(f"Preliminary: the confidence intervals need at least {MIN_TURNS} turns.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
