"""The entry points ``train``, ``infer``, ``evaluate`` and ``report``: exit codes.

Exit codes: 0 done, 2 wrong usage or bad input (one line), 130 stopped by Ctrl-C, 1 a bug (with its traceback).
Nothing here imports TensorFlow, so that help and wrong usage answer at once.
"""

import contextlib
import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

import gan_tf
from gan_tf.cli import evaluate as evaluate_command
from gan_tf.cli import infer as infer_command
from gan_tf.cli import report as report_command
from gan_tf.cli import train as train_command
from gan_tf.cli.streams import tolerant_streams
from gan_tf.utils.files import MAKE_ROOM
from pipelines.errors import UserError

Command = Callable[[Sequence[str]], int]
_PATH_ERRORS = {  # of paths that were named, wherever they are looked at first
    errno.EACCES: "Change its permissions or those of the folders above it, or name another path",
    errno.EPERM: "Change its permissions or those of the folders above it, or name another path",
    errno.ENAMETOOLONG: "Name a shorter path",
    errno.ELOOP: "Name a path without a link that leads to itself",
    errno.ENOTDIR: "Name another path; a part of this one is a file, not a folder",
}
COMMANDS = ("train", "infer", "evaluate", "report", "fetch-weights")


def run_command(command: Command, argv: Sequence[str] | None, has_result: bool = False) -> int:
    """Runs a command; a UserError becomes one line on standard error and exit code 2.

    Args:
        command: from arguments to an exit code.
        argv: its arguments; None takes those of the process.
        has_result: whether what it prints is what it was called for, so that a loss of it is an error.
    """
    with tolerant_streams() as streams, _recorded_interrupts() as interrupts:
        status = _run(command, sys.argv[1:] if argv is None else argv, interrupts)
        streams.out.flush()
        lost = streams.out.error
        if lost is None or isinstance(lost, BrokenPipeError):  # whatever read our output has ended, as in `… | head`
            return status
        reason = lost.strerror if isinstance(lost, OSError) else lost
        if not has_result:
            print(f"warning: not all of the output could be written ({reason})", file=sys.stderr)
            return status
        print(f"error: The output cannot be written ({reason}). {MAKE_ROOM}.", file=sys.stderr)
        return status or 2


def _run(command: Command, argv: Sequence[str], interrupts: list[int]) -> int:
    """Runs a command; returns its exit code."""
    try:
        _check_current_folder()
        return command(argv)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno not in _PATH_ERRORS or error.filename is None:
            raise
        problem = UserError(f"{error.filename} cannot be opened ({error.strerror})", _PATH_ERRORS[error.errno])
        print(f"error: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return _stop()
    except ImportError:  # NumPy turns Ctrl-C while it is imported into this error
        if not interrupts:
            raise
        return _stop()
    except Exception as error:
        if not _is_out_of_memory(error):
            raise
        problem = UserError("There is not enough memory for this", "Lower --batch, or use smaller networks or fewer images")
        print(f"error: {problem}", file=sys.stderr)
        return 2


def _check_current_folder() -> None:
    """Checks that the folder in which the command was called exists.

    Raises:
        UserError: it has been removed.
    """
    try:
        os.getcwd()
    except FileNotFoundError:
        raise UserError("The current folder has been removed", "Change into another one, for instance by: cd") from None


def _is_out_of_memory(error: Exception) -> bool:
    """Whether memory was refused to Python, NumPy or TensorFlow, if that has been imported."""
    tensorflow = sys.modules.get("tensorflow")
    return isinstance(error, MemoryError) or (
        tensorflow is not None and isinstance(error, tensorflow.errors.ResourceExhaustedError)
    )


def _stop() -> int:
    print("stopped", file=sys.stderr)
    return 130


@contextlib.contextmanager
def _recorded_interrupts() -> Iterator[list[int]]:
    """Yields a list that receives each Ctrl-C that raises a KeyboardInterrupt."""
    interrupts: list[int] = []

    def record(number: int, frame: FrameType | None) -> None:
        interrupts.append(number)
        signal.default_int_handler(number, frame)

    is_main_thread = threading.current_thread() is threading.main_thread()
    if not is_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield interrupts  # there is no signal to handle, or somebody else handles it
        return
    signal.signal(signal.SIGINT, record)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def train(argv: Sequence[str] | None = None) -> int:
    """Runs train.py."""
    return run_command(train_command.run, argv)


def infer(argv: Sequence[str] | None = None) -> int:
    """Runs infer.py."""
    return run_command(infer_command.run, argv)


def evaluate(argv: Sequence[str] | None = None) -> int:
    """Runs evaluate.py."""
    return run_command(evaluate_command.run, argv, has_result=True)


def report(argv: Sequence[str] | None = None) -> int:
    """Makes the page of a run, or one that compares runs."""
    return run_command(report_command.run, argv)


def fetch_weights(argv: Sequence[str] | None = None) -> int:
    """Fetches the weights of the FID's network."""

    def run(arguments: Sequence[str]) -> int:
        from gan_tf.evaluation.features.fetch_weights import main

        return main(list(arguments))

    return run_command(run, argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs ``gan-tf COMMAND …``, which is also ``python -m gan_tf COMMAND …``."""

    def run(arguments: Sequence[str]) -> int:
        if arguments[:1] == ["--version"]:
            print(f"gan_tf {gan_tf.__version__}")
            return 0
        if not arguments or arguments[0] in ("-h", "--help"):
            print(f"usage: gan-tf {{{','.join(COMMANDS)}}} …\n\nEach command has its own --help.")
            return 0 if arguments else 2
        commands: dict[str, Callable[[Sequence[str]], int]] = {
            "train": train,
            "infer": infer,
            "evaluate": evaluate,
            "report": report,
            "fetch-weights": fetch_weights,
        }
        if arguments[0] not in commands:
            raise UserError(f"There is no command {arguments[0]!r}", f"Choose one of: {', '.join(COMMANDS)}")
        return commands[arguments[0]](arguments[1:])

    return run_command(run, argv)
