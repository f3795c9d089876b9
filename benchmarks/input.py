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
    median_ci,
    measure_in_turn,
    timing,
)
from benchmarks.train_step import shipped_width
from gan_tf.gan.config import GanConfig
from gan_tf.tasks import find_task
from gan_tf.training.environment import fast_precision
from gan_tf.utils.tf_import import import_tensorflow
from pipelines.errors import UserError

TASK = "anime"
IN_FOLDER = 1000
IN_MEMORY = 4_000_000_000  # bytes; as train.py's default
MIN_STEPS = 5  # in a turn, more than the batches that stand ready when it begins
HERE = Path(__file__).resolve().parent


def multiply_files(source: list[Path], folder: Path, count: int) -> None:
    """Makes ``count`` files in ``folder``/000, 001, … of 1,000 each: hard links to those of ``source`` in turn, or copies."""
    for n, path in enumerate(itertools.islice(itertools.cycle(source), count)):
        place = folder / f"{n // IN_FOLDER:03d}"
        if n % IN_FOLDER == 0:
            place.mkdir()
        target = place / f"{n:07d}{path.suffix}"
        try:
            os.link(path.resolve(), target)
        except OSError:  # another file system, or one without hard links or with no more of them for this file
            shutil.copyfile(path, target)


def measure(name: str, folder: Path, memory_budget: int, config: GanConfig, args: argparse.Namespace) -> dict:
    """One case.

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
        parties = {
            which: lambda worker=worker: worker.request("steps", count=count)["seconds"] / count
            for which, worker in workers.items()
        }
        readings = take_turns(parties, args.turns, name)
        peaks = {which: worker.request("peak")["megabytes"] for which, worker in workers.items()}
    return {
        "case": name,
        "config": dataclasses.asdict(config),
        **opened,
        "peak_megabytes": peaks,
        "ratio": median_ci(readings["stream"] / readings["constant"]),
        "steps_a_turn": count,
        "seconds_a_step": {which: taken.tolist() for which, taken in readings.items()},
    }


HEADER = (
    "| pictures | opened in | stream / constant [95 %] | step on the stream | peak memory | with one batch |\n"
    "|---|---|---|---|---|---|"
)


def format_row(case: dict) -> str:
    """A case as a row of the table."""
    seconds, peaks = {name: np.array(taken) for name, taken in case["seconds_a_step"].items()}, case["peak_megabytes"]
    ratio, step = format_ci(seconds["stream"] / seconds["constant"], 3), f"{np.median(seconds['stream']):.3f} s"
    memory = [f"{peaks[name]:,.0f} MB" for name in ("stream", "constant")]
    return "| " + " | ".join([case["case"], f"{case['open_seconds']:.1f} s", ratio, step, *memory]) + " |"


def parse_arguments(words: list[str] | None) -> argparse.Namespace:
    """The command line, checked.

    Raises:
        UserError: for a value that can't be measured.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="a folder of pictures, as train.py takes it")
    about = "files of the second case, 0 leaves it out (default: %(default)s)"
    parser.add_argument("--files", type=int, default=200_000, metavar="N", help=about)
    parser.add_argument("--temporary", type=Path, metavar="DIR", help="where to make them (default: the system's own place)")
    parser.add_argument("--loss", help="another loss's recipe than the task's")
    parser.add_argument("--hidden-dim", type=int, metavar="N", help="channels next to the image (default: as shipped)")
    parser.add_argument("--precision", help="float32 or bfloat16 (default: as train.py chooses on this machine)")
    parser.add_argument("--turns", type=int, default=MIN_TURNS, help="of each side, at least 2 (default: %(default)s)")
    about = f"least length of a turn; it holds {MIN_STEPS} steps or more (default: %(default)s)"
    parser.add_argument("--turn-seconds", type=float, default=2.0, metavar="S", help=about)
    parser.add_argument("--threads", type=int, metavar="N", help="cores and threads of each side (default: all allowed)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every reading there")
    args = parser.parse_args(words)
    args.hidden_dim = shipped_width() if args.hidden_dim is None else args.hidden_dim
    allowed = len(os.sched_getaffinity(0))
    check_numbers(args, turns=(2, 10**6), files=(0, 10**6), hidden_dim=(1, 10**6), threads=(1, allowed))
    return args


def cases(args: argparse.Namespace, folder: Path, config: GanConfig):
    """Measures one case after the other."""
    from pipelines.image_folder import list_images

    files = list_images(folder)
    if len(files) * math.prod(find_task(TASK).image_shape) > IN_MEMORY:
        problem = f"The {len(files):,} images in {folder} do not fit into {IN_MEMORY / 1e6:,.0f} MB of memory"
        raise UserError(problem, "Name a smaller folder; --files multiplies its images")
    yield measure(f"{len(files):,} in memory", folder, IN_MEMORY, config, args)
    if args.files:
        with tempfile.TemporaryDirectory(dir=args.temporary, prefix="input-") as temporary:
            seconds, _ = timing(multiply_files, files, Path(temporary), args.files)
            print(f"made {args.files:,} files in {seconds:.0f} s", file=sys.stderr)
            yield measure(f"{args.files:,} decoded as they come", Path(temporary), 0, config, args)


def main(words: list[str] | None = None) -> int:
    """Measures and prints the table; returns the exit code."""
    try:
        args = parse_arguments(words)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the files made are removed
        task = find_task(TASK)
        options = {name: getattr(args, name) for name in ("loss", "hidden_dim", "precision") if getattr(args, name)}
        import_tensorflow()
        config = task.family.resolve(task, {}, {"precision": fast_precision(), **options}).config
        done = []
        for case in cases(args, task.data.training_dir(args.data), config):
            if not done:
                cores = args.threads or len(os.sched_getaffinity(0))
                about = f"{config.loss}, hidden {config.hidden_dim}, {config.precision}"
                print(f"{case['version']}; {cores} cores; {about}, batch {config.batch}, {args.turns} turns\n\n{HEADER}")
            done.append(case)
            print(format_row(case), flush=True)
            if args.json:
                args.json.write_text(json.dumps(done, indent=1) + "\n")
    except (UserError, WorkerError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UserError) else 1
    if args.turns < MIN_TURNS:
        print(f"\nA first look: the bounds are worth something from {MIN_TURNS} turns on.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
