"""Measures the cost of input: the training step on batches of the stream, against the same step on one constant batch.

    python benchmarks/input.py --data DIR [--files 200000] [--turns 20] [--json FILE]

There are two cases: the images of DIR held in memory, and images decoded on each access (memory budget 0) from --files
files, hard links to or copies of those of DIR, in sub-folders of 1,000 below a temporary folder, which is removed at the
end. The step is that of the task's default loss, with the hidden_dim of the shipped weights. Two processes run in turn on
the same cores, and each is stopped while the other runs, so that nothing is decoded in advance. The ratio is the median
over the turns of (seconds on the stream / seconds on the constant batch) with its 95 % CI: 1 if the input costs nothing,
1.05 if it makes a step 5 % longer. Memory is the peak of each process, including TensorFlow and the networks; files that
were just linked are in the system's cache, as after an epoch.
"""

import argparse
import dataclasses
import itertools
import json
import math
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks._turns import (
    MIN_TURNS,
    Worker,
    WorkerError,
    calls_per_turn,
    check_numbers,
    format_ci,
    measure_in_turn,
    median_ci,
    timing,
)
from benchmarks.train_step import default_precision, shipped_hidden_dim
from gan_tf.gan.config import GanConfig
from gan_tf.tasks import find_task
from pipelines.errors import UserError

TASK = "anime"
FILES_PER_FOLDER = 1000
MEMORY_BUDGET = 4_000_000_000  # bytes; the default of train.py
MIN_STEPS = 5  # of a turn: more than the batches that are prefetched when it starts
HERE = Path(__file__).resolve().parent


def multiply_files(source: list[Path], folder: Path, count: int) -> None:
    """Creates ``count`` files in ``folder``/000, 001, … of 1,000 each: hard links to those of ``source`` in turn, or copies."""
    for n, path in enumerate(itertools.islice(itertools.cycle(source), count)):
        subfolder = folder / f"{n // FILES_PER_FOLDER:03d}"
        if n % FILES_PER_FOLDER == 0:
            subfolder.mkdir()
        target = subfolder / f"{n:07d}{path.suffix}"
        try:
            os.link(path.resolve(), target)
        except OSError:  # another file system, one without hard links, or too many links to this file
            shutil.copyfile(path, target)


def measure(name: str, folder: Path, memory_budget: int, config: GanConfig, args: argparse.Namespace) -> dict:
    """Measures one case.

    Raises:
        WorkerError: a worker failed.
    """
    cores = set(sorted(os.sched_getaffinity(0))[: args.threads])
    command = [sys.executable, str(HERE / "_step_fed.py")]
    common = {"config": dataclasses.asdict(config), "task": TASK, "threads": len(cores), "memory_budget": memory_budget}
    with Worker(command, cores, frozen=True) as fed, Worker(command, cores, frozen=True) as constant:
        opened = fed.request("build", folder=str(folder), **common)
        constant.request("build", folder=None, **common)
        workers = {"stream": fed, "constant": constant}
        count = max(MIN_STEPS, calls_per_turn(args.turn_seconds, constant.request("steps", count=3)["seconds"] / 3))
        functions = {
            which: lambda worker=worker: worker.request("steps", count=count)["seconds"] / count
            for which, worker in workers.items()
        }
        results = measure_in_turn(functions, args.turns, name)
        peaks = {which: worker.request("peak")["megabytes"] for which, worker in workers.items()}
    return {
        "case": name,
        "config": dataclasses.asdict(config),
        **opened,
        "peak_megabytes": peaks,
        "ratio": median_ci(results["stream"] / results["constant"]),
        "steps_per_turn": count,
        "seconds_per_step": {which: values.tolist() for which, values in results.items()},
    }


HEADER = (
    "| images | opened in | stream / constant [95 % CI] | step on the stream | peak memory | with a constant batch |\n"
    "|---|---|---|---|---|---|"
)


def format_row(case: dict) -> str:
    """Returns a case as a row of the table."""
    seconds = {name: np.array(values) for name, values in case["seconds_per_step"].items()}
    ratio, step = format_ci(seconds["stream"] / seconds["constant"], 3), f"{np.median(seconds['stream']):.3f} s"
    memory = [f"{case['peak_megabytes'][name]:,.0f} MB" for name in ("stream", "constant")]
    return "| " + " | ".join([case["case"], f"{case['open_seconds']:.1f} s", ratio, step, *memory]) + " |"


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Returns the arguments, checked.

    Raises:
        UserError: a value that is not allowed.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the task's images, as for train.py")
    about = "number of files in the second case; 0 skips it (default: %(default)s)"
    parser.add_argument("--files", type=int, default=200_000, metavar="N", help=about)
    parser.add_argument("--temporary", type=Path, metavar="DIR", help="where to create them (default: the system's)")
    parser.add_argument("--loss", help="a loss (default: the task's)")
    parser.add_argument("--hidden-dim", type=int, metavar="N", help="channels next to the image (default: as shipped)")
    parser.add_argument("--precision", help="float32 or bfloat16 (default: as train.py chooses on this machine)")
    parser.add_argument("--turns", type=int, default=MIN_TURNS, help="of each side, at least 2 (default: %(default)s)")
    about = f"minimum duration of a turn, which has at least {MIN_STEPS} steps (default: %(default)s)"
    parser.add_argument("--turn-seconds", type=float, default=2.0, metavar="S", help=about)
    parser.add_argument("--threads", type=int, metavar="N", help="cores and threads of each side (default: all allowed)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements")
    args = parser.parse_args(argv)
    args.hidden_dim = shipped_hidden_dim() if args.hidden_dim is None else args.hidden_dim
    allowed = len(os.sched_getaffinity(0))
    check_numbers(args, turns=(2, 10**6), files=(0, 10**6), hidden_dim=(1, 10**6), threads=(1, allowed))
    return args


def training_folder(data: Path) -> Path:
    """Returns the folder below ``data`` whose images a training takes."""
    return find_task(TASK).data.open(data, "train", 0)["real"].folder


def measure_cases(args: argparse.Namespace, folder: Path, config: GanConfig) -> Iterator[dict]:
    """Measures one case after the other.

    Raises:
        UserError: the images cannot be read, or do not fit into memory.
        WorkerError: a worker failed.
    """
    from pipelines.image_listing import list_images

    files = list_images(folder)
    if len(files) * math.prod(find_task(TASK).image_shape) > MEMORY_BUDGET:
        problem = f"The {len(files):,} images in {folder} do not fit into {MEMORY_BUDGET / 1e6:,.0f} MB of memory"
        raise UserError(problem, "Name a smaller folder; --files multiplies its images")
    yield measure(f"{len(files):,} in memory", folder, MEMORY_BUDGET, config, args)
    if args.files:
        with tempfile.TemporaryDirectory(dir=args.temporary, prefix="input-") as temporary:
            seconds, _ = timing(multiply_files, files, Path(temporary), args.files)
            print(f"created {args.files:,} files in {seconds:.0f} s", file=sys.stderr)
            yield measure(f"{args.files:,} decoded on each access", Path(temporary), 0, config, args)


def main(argv: list[str] | None = None) -> int:
    """Measures and prints the table; returns the exit code."""
    try:
        args = parse_arguments(argv)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the temporary files are removed
        task = find_task(TASK)
        options = {name: getattr(args, name) for name in ("loss", "hidden_dim", "precision") if getattr(args, name)}
        config = task.family.resolve(task, {}, {"precision": default_precision(), **options}).config
        done = []
        for case in measure_cases(args, training_folder(args.data), config):
            if not done:
                cores = args.threads or len(os.sched_getaffinity(0))
                about = f"{config.loss}, hidden_dim {config.hidden_dim}, {config.precision}"
                print(f"{case['version']}; {cores} cores; {about}, batch {config.batch}, {args.turns} turns\n\n{HEADER}")
            done.append(case)
            print(format_row(case), flush=True)
            if args.json:
                args.json.write_text(json.dumps(done, indent=1) + "\n")
    except (UserError, WorkerError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UserError) else 1
    if args.turns < MIN_TURNS:
        print(f"\nPreliminary: the confidence intervals need at least {MIN_TURNS} turns.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
