"""Measures what makes the training step fast, and what would not make it faster.

    python benchmarks/step_variants.py [--losses gan,rpgan] [--only NAME …] [--turns 20] [--json FILE]

Each row changes one thing in the step: it undoes an optimization, or adds one that was tried and rejected. The step as it is
trained and the changed one are two processes on the same cores, which run strictly in turn from the same start; the losses
of their first steps must agree. The ratio is the median over the turns of (changed seconds / original seconds) with its
95 % CI: 1.20 if the change makes the step a fifth longer, below 1 if it makes it faster. What gains less than 3 % is
rejected. All rows take about a quarter of an hour on two cores.
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

from benchmarks._step_variants import VARIANTS, Variant
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
from benchmarks.train_step import (
    LOSSES,
    PRECISIONS,
    TASK,
    check_equivalence,
    cpu_features,
    default_precision,
    resolve_config,
    shipped_hidden_dim,
)
from gan_tf.gan.config import GanConfig
from pipelines.errors import UserError

HERE = Path(__file__).resolve().parent


def measure(name: str, config: GanConfig, args: argparse.Namespace) -> dict:
    """Measures one row.

    Raises:
        WorkerError: a worker failed, or the losses of the first steps differ.
    """
    cores = set(sorted(os.sched_getaffinity(0))[: args.threads])
    command = [sys.executable, str(HERE / "_step_variants.py")]
    values = dataclasses.asdict(config)
    with tempfile.TemporaryDirectory() as folder, Worker(command, cores) as original, Worker(command, cores) as changed:
        workers = {"original": (original, None), "changed": (changed, name)}
        built = {
            which: worker.request(
                "build", variant=variant, config=values, task=TASK, threads=len(cores), start=f"{folder}/{which}.npz"
            )
            for which, (worker, variant) in workers.items()
        }
        check_equivalence(*built.values(), config)
        for worker in (original, changed):
            worker.request("steps", count=2)
        count = calls_per_turn(args.turn_seconds, original.request("steps", count=1)["seconds"])
        functions = {
            which: lambda worker=worker: worker.request("steps", count=count)["seconds"] / count
            for which, (worker, _) in workers.items()
        }
        results = measure_in_turn(functions, args.turns, f"{name}, {config.loss}")
    return {
        "variant": name,
        "config": values,
        "ratio": median_ci(results["changed"] / results["original"]),
        "steps_per_turn": count,
        "seconds_per_step": {which: values.tolist() for which, values in results.items()},
        "version": built["changed"]["version"],
    }


HEADER = "| part of the step | change | loss | original | changed | ratio [95 % CI] |\n|---|---|---|---|---|---|"


def format_row(case: dict, variant: Variant) -> str:
    """Returns a case as a row of the table."""
    seconds = {name: np.array(values) for name, values in case["seconds_per_step"].items()}
    ratio = format_ci(seconds["changed"] / seconds["original"])
    cells = ["yes" if variant.is_part_of_step else "no", variant.about, f"`{case['config']['loss']}`"]
    return "| " + " | ".join([*cells, *(f"{np.median(values):.3f} s" for values in seconds.values()), ratio]) + " |"


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Returns the arguments, checked.

    Raises:
        UserError: a value that is not allowed.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--losses", default=",".join(LOSSES), help="some of: %(default)s (default: all)")
    parser.add_argument("--only", nargs="+", metavar="NAME", default=list(VARIANTS), help=f"some of: {', '.join(VARIANTS)}")
    parser.add_argument("--hidden-dim", type=int, help="channels next to the image (default: as shipped)")
    parser.add_argument("--precision", choices=PRECISIONS, help="(default: as train.py chooses on this machine)")
    parser.add_argument("--turns", type=int, default=MIN_TURNS, help="of each side, at least 2 (default: %(default)s)")
    about = "minimum duration of a turn, which consists of whole steps (default: %(default)s)"
    parser.add_argument("--turn-seconds", type=float, default=0.5, metavar="S", help=about)
    parser.add_argument("--threads", type=int, metavar="N", help="cores and threads of each side (default: all allowed)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements")
    args = parser.parse_args(argv)
    args.losses = args.losses.split(",")
    check_names(args, losses=LOSSES, only=VARIANTS)
    args.hidden_dim = shipped_hidden_dim() if args.hidden_dim is None else args.hidden_dim
    check_numbers(args, turns=(2, 10**6), hidden_dim=(1, 10**6), threads=(1, len(os.sched_getaffinity(0))))
    args.precision = args.precision or default_precision()
    return args


def main(argv: list[str] | None = None) -> int:
    """Measures and prints the table; returns the exit code."""
    try:
        args = parse_arguments(argv)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    done, num_failed = [], 0
    for name in args.only:
        for loss in [loss for loss in args.losses if loss in VARIANTS[name].losses]:
            try:
                done.append(measure(name, resolve_config(loss, args.hidden_dim, args.precision), args))
            except WorkerError as error:
                num_failed += 1
                print(f"\n{name}, {loss}: not measured: {error}", file=sys.stderr)
                continue
            if len(done) == 1:
                about = (
                    f"hidden_dim {args.hidden_dim}, {args.precision}, batch {done[0]['config']['batch']}, {args.turns} turns"
                )
                print(f"{done[0]['version']}; {args.threads or len(os.sched_getaffinity(0))} cores; {about}\n\n{HEADER}")
            print(format_row(done[-1], VARIANTS[name]), flush=True)
            if args.json:
                args.json.write_text(json.dumps({"cpu": cpu_features(), "cases": done}, indent=1) + "\n")
    if args.turns < MIN_TURNS:
        print(f"\nPreliminary: the confidence intervals need at least {MIN_TURNS} turns.")
    return 1 if num_failed else 0


if __name__ == "__main__":
    sys.exit(main())
