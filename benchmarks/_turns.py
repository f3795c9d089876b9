"""What the benchmarks share: worker processes that run strictly in turn, and medians with their 95 % CI."""

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np

from pipelines.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
MIN_TURNS = 20  # with fewer, a result is preliminary
PAUSE = 0.05  # seconds between turns, in which the other worker's threads stop spinning and go to sleep


def check_numbers(args: argparse.Namespace, **ranges: tuple[int, int]) -> None:
    """Checks that numbers are in their ranges; None, for an option without a value, is allowed.

    Raises:
        UserError: for the first number that is not.
    """
    for name, (low, high) in ranges.items():
        value = getattr(args, name)
        if value is not None and not low <= value <= high:
            flag = name.replace("_", "-")
            raise UserError(
                f"--{flag} {value} is not valid: a whole number from {low} to {high} is needed", "Correct the value"
            )


def check_names(args: argparse.Namespace, **known: Collection[str]) -> None:
    """Checks that lists contain known names only.

    Raises:
        UserError: for the first name that is unknown.
    """
    for option, names in known.items():
        for value in getattr(args, option):
            if value not in names:
                raise UserError(f"--{option} {value} is not valid", f"Choose some of: {', '.join(names)}")


class WorkerError(Exception):
    """A worker failed at a request, or ended; the text is one line."""


class Worker:
    """A process that answers one request at a time, as JSON lines over pipes, and is idle in between.

    Args:
        command: the program and its arguments; it must call ``serve``.
        cores: the processors it may run on.
        frozen: stop it by a signal between requests, for a worker that would continue in the background.
    """

    def __init__(self, command: list[str], cores: set[int], frozen: bool = False):
        self.command, self.frozen = command, frozen
        # ``import_tensorflow`` sets this variable here; in the worker it would mean that the user wants to see all messages.
        environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
        kept = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cores)  # a child inherits it, so that no library counts more cores than it may use
        try:
            self.process = subprocess.Popen(command, env=environment | {"PYTHONPATH": str(ROOT)}, **pipes)
        finally:
            os.sched_setaffinity(0, kept)

    def request(self, name: str, **arguments) -> dict:
        """Returns the answer to a request.

        Raises:
            WorkerError: the worker failed or ended.
        """
        self.signal(signal.SIGCONT)
        try:
            self.process.stdin.write(json.dumps({"request": name, **arguments}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        self.signal(signal.SIGSTOP)
        if not line:
            raise WorkerError(f"{Path(self.command[1]).name} ended with exit code {self.process.wait()} at {name!r}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def signal(self, number: int) -> None:
        """Stops or continues the process, if it is ``frozen`` between requests."""
        if self.frozen:
            self.process.send_signal(number)

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_) -> None:
        self.signal(signal.SIGCONT)
        self.process.stdin.close()  # the worker's loop ends with its input
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def serve(requests: dict[str, Callable[..., dict]]) -> None:
    """Runs a worker's loop: calls the function that each request names and answers with its result, until the input ends.

    Output of libraries is redirected to standard error, because standard output is for answers only.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        arguments = json.loads(line)
        try:
            answer = requests[arguments.pop("request")](**arguments)
        except Exception as error:  # of any kind: the benchmark must learn of it, or it would wait forever
            traceback.print_exc()
            answer = {"error": first_line(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def first_line(error: Exception) -> str:
    """Returns an exception as one short line: its first, or its last if the first ends with a colon (as TensorFlow's do)."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    return f"{type(error).__name__}: {lines[-1 if lines[0].endswith(':') else 0]}"[:200]


def timing(function: Callable, *arguments) -> tuple[float, object]:
    """Returns the wall seconds of one call, and its result."""
    start = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - start, result


def calls_per_turn(seconds: float, seconds_per_call: float) -> int:
    """Returns how many calls of ``seconds_per_call`` take at least ``seconds``."""
    return max(1, math.ceil(seconds / max(seconds_per_call, 1e-9)))


def measure_in_turn(functions: dict[str, Callable[[], float]], turns: int, about: str = "") -> dict[str, np.ndarray]:
    """Calls each function once per turn, in the opposite order every second turn; returns their results, ``[turns]``."""
    results: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(turns):
        for name in list(functions)[:: 1 if turn % 2 == 0 else -1]:
            time.sleep(PAUSE)
            results[name].append(functions[name]())
        if sys.stderr.isatty():
            print(f"\r{about}: turn {turn + 1} of {turns} ", end="\n" if turn + 1 == turns else "", file=sys.stderr, flush=True)
    return {name: np.array(values) for name, values in results.items()}


def median_ci(values: np.ndarray) -> tuple[float, float, float]:
    """Returns the median and the limits of its 95 % confidence interval, which are two of the values.

    The limits are the order statistics k and n + 1 - k with the greatest k whose coverage by the binomial distribution is
    at least 95 %; this assumes nothing about the distribution of the values (Conover 1999, section 3.2). With fewer than
    6 values no interval reaches 95 %: the limits are then the minimum and the maximum.
    """
    ordered = np.sort(np.asarray(values, np.float64))
    n = len(ordered)
    below, outside = 0, 0.5**n  # outside: the probability that the median is below the lower limit
    while below + 1 < n / 2 and 2 * (outside + math.comb(n, below + 1) * 0.5**n) <= 0.05:
        below += 1
        outside += math.comb(n, below) * 0.5**n
    return float(np.median(ordered)), float(ordered[below]), float(ordered[n - 1 - below])


def format_ci(values: np.ndarray, decimals: int = 2) -> str:
    """Returns ``1.23 [1.20, 1.26]``; see ``median_ci``."""
    middle, low, high = (f"{value:.{decimals}f}" for value in median_ci(values))
    return f"{middle} [{low}, {high}]"
