"""The entry points ``train``, ``infer``, ``evaluate`` and ``report``: exit codes, and warnings on one line.

Exit codes: 0 done, 2 wrong usage or bad input (one line), 130 stopped by Ctrl-C, 1 a bug (with its traceback).
Nothing here imports TensorFlow, so that help and wrong usage answer at once.
"""

import contextlib
import errno
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

import gan_tf
from gan_tf.cli import evaluate as evaluate_command
from gan_tf.cli import infer as infer_command
from gan_tf.cli import report as report_command
from gan_tf.cli import train as train_command
from gan_tf.utils.files import MAKE_ROOM
from pipelines.errors import UserError

Command = Callable[[Sequence[str]], int]
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # of standard output, since files have errors of their own
COMMANDS = ("train", "infer", "evaluate", "report", "fetch-weights")


def run_command(command: Command, argv: Sequence[str] | None) -> int:
    """Runs a command; a UserError becomes one line on standard error and exit code 2.

    Args:
        command: from arguments to an exit code.
        argv: its arguments; None takes those of the process.
    """
    warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
    with _recorded_interrupts() as interrupts:
        try:
            return command(sys.argv[1:] if argv is None else argv)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            return _stop()
        except BrokenPipeError:  # whatever read our output has ended, as in `… | head`
            with contextlib.suppress(OSError):
                sys.stdout.close()
            return 0
        except OSError as error:
            if error.errno not in _FULL or error.filename is not None:
                raise
            with contextlib.suppress(OSError):
                sys.stdout.close()
            print(f"error: The output cannot be written ({error.strerror}). {MAKE_ROOM}.", file=sys.stderr)
            return 2
        except ImportError:  # NumPy turns Ctrl-C while it is imported into this error
            if not interrupts:
                raise
            return _stop()


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
    return run_command(evaluate_command.run, argv)


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
