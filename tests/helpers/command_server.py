"""Runs commands of this program in processes of their own that need not import TensorFlow again; for tests with many of them.

``python -m helpers.command_server`` reads a line of JSON for each command and answers with two: the process and the result.
"""

import contextlib
import importlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from helpers.write_faults import Fault, ask_before_writes, supervise

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Result:
    """How a command ended.

    Attributes:
        status: the exit code, or minus the signal that ended the process.
        out: standard output.
        err: standard error.
        writes: with a fault, what was written below its folder; see ``helpers.write_faults``.
    """

    status: int
    out: str
    err: str
    writes: list[str]


class CommandServer:
    """The other end: starts commands one after another."""

    def __init__(self, process: "subprocess.Popen[str]"):
        self._process = process

    def start(self, command: str, words: Sequence[Any], fault: Fault | None = None, cache: Path | None = None) -> int:
        """Starts "train", "infer" or "evaluate"; returns its process. ``finish`` must follow.

        Args:
            command: which one.
            words: its arguments.
            fault: what happens when it writes.
            cache: its cache folder, by default that of the server.
        """
        request = {"command": command, "words": list(map(str, words)), "cache": str(cache) if cache else None}
        request["fault"] = asdict(fault) if fault else None
        assert self._process.stdin is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return int(self._read())

    def finish(self) -> Result:
        """Waits for the command's end."""
        return Result(**json.loads(self._read()))

    def run(self, command: str, words: Sequence[Any], fault: Fault | None = None, cache: Path | None = None) -> Result:
        """Runs a command to its end; see ``start``."""
        self.start(command, words, fault, cache)
        return self.finish()

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the server has ended"
        return line


@contextlib.contextmanager
def command_server(folder: Path, stand_in: bool = False) -> Iterator[CommandServer]:
    """Starts a server.

    Args:
        folder: for its own files; not one in which commands write.
        stand_in: whether a small network takes the place of the FID's, so that scores need no weights, and TensorFlow runs
            without graphs, which take most of the time of a few steps.
    """
    command = [sys.executable, "-m", "helpers.command_server", str(folder), str(int(stand_in))]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "GAN_TF_CACHE": str(folder / "cache")}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True, env=environment) as process:
        yield CommandServer(process)
        assert process.stdin is not None
        process.stdin.close()


def _run(request: dict[str, Any], folder: Path) -> None:
    """Runs one command in a forked process, and prints the process and the result."""
    import tensorflow as tf

    from gan_tf.cli import main

    command = getattr(main, request["command"])
    if tf.config.functions_run_eagerly():
        command = tf.autograph.experimental.do_not_convert(command)  # nothing needs it, and it takes half of the time
    fault = Fault(**request["fault"]) if request["fault"] else None
    here, there = socket.socketpair()
    process = os.fork()
    if process == 0:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        if request["cache"]:
            os.environ["GAN_TF_CACHE"] = request["cache"]
        if fault:
            ask_before_writes(there)
        status = 1
        try:
            status = command(request["words"])
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    print(process, flush=True)
    there.close()
    writes = supervise(here, process, fault) if fault else []
    here.close()
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    texts = {name: (folder / name).read_text(errors="replace") if (folder / name).exists() else "" for name in ("out", "err")}
    print(json.dumps({"status": status, **texts, "writes": writes}), flush=True)


def main(folder: Path, stand_in: bool) -> None:
    """Serves until standard input ends."""
    from gan_tf.utils.tf_import import import_tensorflow

    import_tensorflow()
    import tensorflow as tf

    from gan_tf.tasks import TASKS
    from helpers.stand_in import generate_few_images, replace_fid_network

    workflows = {task.family.workflow.partition(":")[0] for task in TASKS.values()}
    for module in ("matplotlib.pyplot", "gan_tf.training.run", *sorted(workflows)):  # what commands import late
        importlib.import_module(module)
    if stand_in:
        replace_fid_network()
        generate_few_images()
        tf.config.run_functions_eagerly(True)
        tf.data.experimental.enable_debug_mode()
    for line in sys.stdin:
        _run(json.loads(line), folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] == "1")
