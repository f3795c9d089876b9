"""What the benchmarks share: processes that work strictly in turn, and ratios with their 95 % bounds."""

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
MIN_TURNS = 20  # the house's rule: fewer are a first look, not a result
PAUSE = 0.05  # seconds between turns, in which the other's threads stop spinning and go to sleep


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
    """A worker said that it can't do what it was asked, or ended; the text is one line."""


class Worker:
    """A process that answers one request at a time, JSON lines over pipes, and is idle while it isn't asked.

    Args:
        command: the program and its words; it must call ``serve``.
        cores: the processors it may run on.
        frozen: stop it by a signal while it isn't asked, for one that would go on working in the background.
    """

    def __init__(self, command: list[str], cores: set[int], frozen: bool = False):
        self.command, self.frozen = command, frozen
        # Left out: what ``import_tensorflow`` sets here would tell it in the worker that a person wants to see all.
        environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
        kept = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cores)  # a child inherits it, so that no library counts more cores than it may use
        try:
            self.process = subprocess.Popen(command, env=environment | {"PYTHONPATH": str(ROOT)}, **pipes)
        finally:
            os.sched_setaffinity(0, kept)

    def ask(self, request: str, **arguments) -> dict:
        """The answer to a request.

        Raises:
            WorkerError: the worker failed or ended.
        """
        self.signal(signal.SIGCONT)
        try:
            self.process.stdin.write(json.dumps({"request": request, **arguments}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        self.signal(signal.SIGSTOP)
        if not line:
            raise WorkerError(f"{Path(self.command[1]).name} ended with exit code {self.process.wait()} at {request!r}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def signal(self, number: int) -> None:
        """Stops or wakes the process where it is to be frozen between requests."""
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
    """A worker's loop: calls what is asked for by name and answers with its dictionary, until the input ends.

    What libraries print goes to standard error, because the answers alone may stand on standard output.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        arguments = json.loads(line)
        try:
            answer = requests[arguments.pop("request")](**arguments)
        except Exception as error:  # whatever it is, the other side should learn of it and not wait for ever
            traceback.print_exc()
            answer = {"error": first_line(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def first_line(error: Exception) -> str:
    """An exception in one short line; the last of its lines where the first one only announces them (TensorFlow's do)."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    return f"{type(error).__name__}: {lines[-1 if lines[0].endswith(':') else 0]}"[:200]


def timing(function: Callable, *arguments) -> tuple[float, object]:
    """Wall seconds of one call, and what it returned."""
    start = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - start, result


def calls_per_turn(seconds: float, one: float) -> int:
    """How many calls of ``one`` second each take ``seconds`` or longer, at least 1."""
    return max(1, math.ceil(seconds / max(one, 1e-9)))


def take_turns(parties: dict[str, Callable[[], float]], turns: int, about: str = "") -> dict[str, np.ndarray]:
    """The readings of each party over the turns, ``[turns]``; every second turn goes round in the opposite order."""
    readings: dict[str, list[float]] = {name: [] for name in parties}
    for turn in range(turns):
        for name in list(parties)[:: 1 if turn % 2 == 0 else -1]:
            time.sleep(PAUSE)
            readings[name].append(parties[name]())
        if sys.stderr.isatty():
            print(f"\r{about}: turn {turn + 1} of {turns} ", end="\n" if turn + 1 == turns else "", file=sys.stderr, flush=True)
    return {name: np.array(taken) for name, taken in readings.items()}


def median_ci(values: np.ndarray) -> tuple[float, float, float]:
    """The median of paired readings and its 95 % bounds, which are two of the readings.

    The bounds are the order statistics k and n + 1 - k with the greatest k for which the binomial distribution gives
    them 95 % or more; this assumes nothing of the distribution (Conover 1999, section 3.2). Below 6 readings no two of
    them reach 95 %: the bounds are then the least and the greatest.
    """
    ordered = np.sort(np.asarray(values, np.float64))
    n = len(ordered)
    below, outside = 0, 0.5**n  # outside: the chance that the median lies below the first of the readings taken
    while below + 1 < n / 2 and 2 * (outside + math.comb(n, below + 1) * 0.5**n) <= 0.05:
        below += 1
        outside += math.comb(n, below) * 0.5**n
    return float(np.median(ordered)), float(ordered[below]), float(ordered[n - 1 - below])


def format_ci(values: np.ndarray, decimals: int = 2) -> str:
    """``1.23 [1.20, 1.26]``: see ``median_ci``."""
    middle, low, high = (f"{value:.{decimals}f}" for value in median_ci(values))
    return f"{middle} [{low}, {high}]"
