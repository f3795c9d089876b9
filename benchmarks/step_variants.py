"""Where the training step's speed comes from, and what would not make it faster.

    python benchmarks/step_variants.py [--losses gan,rpgan] [--only NAME …] [--turns 20] [--json FILE]

Each row changes one thing in the step: undoes what is part of it, or does what was tried and stays out. The step as
it trains and the changed one are two processes on the same cores, which work strictly in turn from the same start; the
first step's losses must agree. The ratio is the median over the turns of (changed seconds / seconds as it trains) with
its 95 % bounds: 1.20 where the step would take a fifth longer, below 1 where it would be faster. What gains less than
3 % stays out. All rows take about a quarter of an hour on two cores.
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
    median_ci,
    take_turns,
    format_ci,
)
from benchmarks.train_step import LOSSES, PRECISIONS, TASK, check_equivalence, resolve_config, shipped_width
from gan_tf.gan.config import GanConfig
from gan_tf.training.environment import cpu_features, fast_precision
from pipelines.errors import UserError

HERE = Path(__file__).resolve().parent


def measure(name: str, config: GanConfig, args: argparse.Namespace) -> dict:
    """One row.

    Raises:
        WorkerError: a worker failed, or the first step's losses differ.
    """
    cores = set(sorted(os.sched_getaffinity(0))[: args.threads])
    command = [sys.executable, str(HERE / "_step_variants.py")]
    values = dataclasses.asdict(config)
    with tempfile.TemporaryDirectory() as folder, Worker(command, cores) as kept, Worker(command, cores) as changed:
        workers = {"as it trains": (kept, None), "changed": (changed, name)}
        built = {
            which: worker.request(
                "build", variant=variant, config=values, task=TASK, threads=len(cores), start=f"{folder}/{which}.npz"
            )
            for which, (worker, variant) in workers.items()
        }
        check_equivalence(*built.values(), config)
        for worker in (kept, changed):
            worker.request("steps", count=2)
        count = calls_per_turn(args.turn_seconds, kept.request("steps", count=1)["seconds"])
        parties = {
            which: lambda worker=worker: worker.request("steps", count=count)["seconds"] / count
            for which, (worker, _) in workers.items()
        }
        readings = take_turns(parties, args.turns, f"{name}, {config.loss}")
    return {
        "variant": name,
        "config": values,
        "ratio": median_ci(readings["changed"] / readings["as it trains"]),
        "steps_a_turn": count,
        "seconds_a_step": {which: taken.tolist() for which, taken in readings.items()},
        "version": built["changed"]["version"],
    }


HEADER = "| part of the step | what is changed | loss | as it trains | changed | ratio [95 %] |\n|---|---|---|---|---|---|"


def format_row(case: dict, variant: Variant) -> str:
    """A case as a row of the table."""
    seconds = {name: np.array(taken) for name, taken in case["seconds_a_step"].items()}
    ratio = format_ci(seconds["changed"] / seconds["as it trains"])
    cells = ["yes" if variant.kept else "no", variant.about, f"`{case['config']['loss']}`"]
    return "| " + " | ".join([*cells, *(f"{np.median(taken):.3f} s" for taken in seconds.values()), ratio]) + " |"


def parse_arguments(words: list[str] | None) -> argparse.Namespace:
    """The command line, checked.

    Raises:
        UserError: for a value that can't be measured.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--losses", default=",".join(LOSSES), help="some of: %(default)s (default: all)")
    parser.add_argument("--only", nargs="+", metavar="NAME", default=list(VARIANTS), help=f"some of: {', '.join(VARIANTS)}")
    parser.add_argument("--hidden-dim", type=int, help="channels next to the image (default: as shipped)")
    parser.add_argument("--precision", choices=PRECISIONS, help="(default: as train.py chooses on this machine)")
    parser.add_argument("--turns", type=int, default=MIN_TURNS, help="of each side, at least 2 (default: %(default)s)")
    about = "least length of a turn; it holds whole steps (default: %(default)s)"
    parser.add_argument("--turn-seconds", type=float, default=0.5, metavar="S", help=about)
    parser.add_argument("--threads", type=int, metavar="N", help="cores and threads of each side (default: all allowed)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every reading there")
    args = parser.parse_args(words)
    args.losses = args.losses.split(",")
    check_names(args, losses=LOSSES, only=VARIANTS)
    args.hidden_dim = shipped_width() if args.hidden_dim is None else args.hidden_dim
    args.precision = args.precision or fast_precision()
    check_numbers(args, turns=(2, 10**6), hidden_dim=(1, 10**6), threads=(1, len(os.sched_getaffinity(0))))
    return args


def main(words: list[str] | None = None) -> int:
    """Measures and prints the table; returns the exit code."""
    try:
        args = parse_arguments(words)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    done, failed = [], 0
    for name in args.only:
        for loss in [loss for loss in args.losses if loss in VARIANTS[name].losses]:
            try:
                done.append(measure(name, resolve_config(loss, args.hidden_dim, args.precision), args))
            except WorkerError as error:
                failed += 1
                print(f"\n{name}, {loss}: not measured: {error}", file=sys.stderr)
                continue
            if len(done) == 1:
                about = f"hidden {args.hidden_dim}, {args.precision}, batch {done[0]['config']['batch']}, {args.turns} turns"
                print(f"{done[0]['version']}; {args.threads or len(os.sched_getaffinity(0))} cores; {about}\n\n{HEADER}")
            print(format_row(done[-1], VARIANTS[name]), flush=True)
            if args.json:
                args.json.write_text(json.dumps({"cpu": cpu_features(), "cases": done}, indent=1) + "\n")
    if args.turns < MIN_TURNS:
        print(f"\nA first look: the bounds are worth something from {MIN_TURNS} turns on.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
