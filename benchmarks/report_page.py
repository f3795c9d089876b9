"""What the page of a run costs while it trains: the CPU time of the first one, and of a refresh after one more sample grid.

    python benchmarks/report_page.py RUN [--grids 50] [--points 20000] [--rounds 20]

Works on a copy of RUN, a run with at least one sample grid. The copy gets as many grids as are asked for, repetitions of those
of the run, and as many points of its curves.
"""

import argparse
import itertools
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gan_tf.curves import METRICS, parse_line
from gan_tf.report.embedding import ImageEmbedder
from gan_tf.report.page import write_run_page
from gan_tf.report.run_files import read_run_files
from gan_tf.run_dir import read_run_config
from gan_tf.tasks import find_task


def main() -> None:
    """Prints the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--grids", type=int, default=50)
    parser.add_argument("--points", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=20)
    args = parser.parse_args()
    task = find_task(read_run_config(args.run)["task"])
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / args.run.name
        shutil.copytree(args.run, copy, ignore=shutil.ignore_patterns("checkpoints", "tensorboard"))
        grids = itertools.cycle(read_run_files(task, args.run).grids.values())
        next_step = multiply_grids(copy, grids, args.grids)
        multiply_points(copy / METRICS, args.points)
        embedder = ImageEmbedder()
        first = timed(task, copy, embedder)
        refreshes = []
        for step in range(next_step, next_step + args.rounds):
            shutil.copy(next(grids), grid_path(copy, step))
            refreshes.append(timed(task, copy, embedder))
        size = (copy / "report.html").stat().st_size
    print(f"{args.grids} grids, {args.points:,} points of the curves: a page of {size / 1e6:.2f} MB")
    print(f"first page: {first:.3f} CPU s; refresh after one more grid: {statistics.median(refreshes):.3f} s ", end="")
    print(f"(median of {args.rounds}, {min(refreshes):.3f} to {max(refreshes):.3f} s)")


def timed(task, run: Path, embedder: ImageEmbedder) -> float:
    """Writes the page; returns the CPU seconds that it took, which a busy machine does not change."""
    start = time.process_time()
    write_run_page(task, run, embedder)
    return time.process_time() - start


def multiply_grids(run: Path, grids, count: int) -> int:
    """Replaces the sample grids of a run by ``count``; returns the step after the last one."""
    for path in run.glob("images/step-*.png"):
        path.unlink()
    for step in range(1, count + 1):
        shutil.copy(next(grids), grid_path(run, step))
    return count + 1


def grid_path(run: Path, step: int) -> Path:
    """Returns where the sample grid of a step lies."""
    return run / f"images/step-{step:09d}.png"


def multiply_points(path: Path, count: int) -> None:
    """Repeats the lines of a ``metrics.jsonl`` until there are ``count``, at steps 1, 2, …"""
    lines = [values for line in path.read_bytes().split(b"\n") if (values := parse_line(line)) is not None]
    repeated = itertools.islice(itertools.cycle(lines), count)
    path.write_text("".join(json.dumps({**values, "step": step}) + "\n" for step, values in enumerate(repeated, start=1)))


if __name__ == "__main__":
    main()
