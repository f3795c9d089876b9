"""Standard streams that are closed, missing, full or of another kind decide neither the work nor its exit code."""

import io
import json
import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest
from helpers.cli import call
from PIL import Image

from gan_tf.cli.main import run_command
from gan_tf.cli.streams import tolerant_streams
from pipelines.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
INFER = ["infer.py", "--task", "anime", "--grid", "1x1"]


def run_shell(redirection: str, out: Path) -> subprocess.CompletedProcess:
    command = ["bash", "-c", f'"$0" "$@" {redirection}', sys.executable, *INFER, str(out)]
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize("redirection", [">&- 2>&- <&-", "> /dev/full 2> /dev/full"])
def test_infer_with_unusable_streams_writes_its_image_and_ends_with_0(tmp_path, redirection):
    done = run_shell(redirection, tmp_path / "x.png")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    Image.open(tmp_path / "x.png").load()


def test_infer_with_a_full_standard_output_says_so(tmp_path):
    done = run_shell("> /dev/full", tmp_path / "x.png")
    assert done.returncode == 0
    assert done.stderr == "warning: not all of the output could be written (No space left on device)\n"
    assert (tmp_path / "x.png").is_file()


class Fails(io.TextIOBase):
    """A stream whose every method fails, and that has no encoding."""

    def __init__(self, error: Exception):
        self._error = error

    def write(self, *_):
        raise self._error

    flush = isatty = write


class Minimal:
    """A stream of somebody's own, with nothing but ``write``."""

    encoding = None

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text


STREAMS = {
    "none": lambda: None,
    "full": lambda: Fails(OSError(28, "No space left on device")),
    "broken": lambda: Fails(BrokenPipeError(32, "Broken pipe")),
    "closed": lambda: Fails(ValueError("I/O operation on closed file")),
    "minimal": Minimal,
    "ascii": lambda: io.TextIOWrapper(io.BytesIO(), "ascii"),
}


@pytest.mark.parametrize("name", STREAMS)
def test_run_command_with_any_stream_does_its_work(monkeypatch, name):
    done = []

    def command(words):
        for stream in (sys.stdout, sys.stderr):
            print("猫 \udcff ± ≥", file=stream, flush=True)
            stream.isatty()
        warnings.warn("a warning with 猫", stacklevel=1)
        done.append(words)
        return 0

    monkeypatch.setattr(sys, "stdout", STREAMS[name]())
    monkeypatch.setattr(sys, "stderr", STREAMS[name]())
    assert run_command(command, ["a"]) == 0
    assert done == [["a"]]


def test_run_command_whose_result_is_lost_ends_with_2(monkeypatch, capsys):
    def command(words):
        print("the table")
        return 0

    monkeypatch.setattr(sys, "stdout", STREAMS["full"]())
    assert run_command(command, [], has_result=True) == 2
    assert capsys.readouterr().err.startswith("error: The output cannot be written (No space left on device). Free some")


def test_run_command_shows_what_an_encoding_has_no_character_for_as_escapes(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "latin-1", write_through=True))
    assert run_command(lambda words: print("ü 猫 \udcff") or 0, []) == 0
    assert raw.getvalue() == b"\xfc \\u732b \\udcff\n"


@pytest.mark.parametrize("failure", [None, UserError("a", "b"), KeyboardInterrupt(), ZeroDivisionError(), SystemExit(3)])
def test_run_command_leaves_the_process_as_it_was(failure):
    """As a notebook needs it."""

    def command(words):
        if failure is not None:
            raise failure
        return 0

    def state():
        import signal

        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
        return sys.stdout, sys.stderr, warnings.showwarning, handlers, dict(os.environ), os.getcwd(), threading.active_count()

    before = state()
    if isinstance(failure, ZeroDivisionError | SystemExit):
        with pytest.raises(type(failure)):
            run_command(command, [])
    else:
        run_command(command, [])
    assert state() == before


def test_train_leaves_the_process_as_it_was(tmp_path, image_dir):
    words = ["--task", "mnist", "--network", "mlp", "--hidden-dim", 4, "--latent-dim", 8, "--batch", 4, "--grid-every", 0]
    before = sys.stdout, sys.stderr, warnings.showwarning, dict(os.environ), os.getcwd()
    assert call("train", *words, "--steps", 1, "--data", image_dir, "--runs", tmp_path / "runs") == 0
    assert (sys.stdout, sys.stderr, warnings.showwarning, dict(os.environ), os.getcwd()) == before
    (config,) = (tmp_path / "runs").glob("mnist/*/config.json")
    json.loads(config.read_text(encoding="utf-8"))


def test_tolerant_streams_keep_an_open_file_away_from_the_numbers_of_closed_ones(tmp_path):
    """Otherwise what TensorFlow logs on descriptor 2 would be written into a checkpoint."""
    code = "import os, sys\nos.close(1); os.close(2)\nfrom gan_tf.cli.streams import tolerant_streams\n"
    code += f"with tolerant_streams():\n    file = os.open({str(tmp_path / 'x')!r}, os.O_CREAT | os.O_WRONLY)\nsys.exit(file)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode > 2
    with tolerant_streams() as streams:
        assert sys.stdout is streams.out
