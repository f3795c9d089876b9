"""Ctrl-C at any moment, also while modules are imported: one line and exit code 130."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gan_tf.cli.main import run_command

ROOT = Path(__file__).resolve().parents[2]

# Runs an entry point and sends Ctrl-C while the named module is imported.
INTERRUPTED = """
import os, runpy, signal, sys
entry, interrupted, *sys.argv[1:] = sys.argv[1:]
class Finder:
    def find_spec(name, path, target=None):
        if name == interrupted:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder)
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell may have switched off
run = runpy.run_path if entry.endswith(".py") else runpy.run_module
run(entry, run_name="__main__")
"""


@pytest.mark.parametrize("entry", ["train.py", "infer.py", "evaluate.py", "gan_tf"])
@pytest.mark.parametrize("module", ["gan_tf.cli.main", "gan_tf.tasks", "numpy"])
def test_entry_point_interrupted_during_imports_prints_one_line(entry, module, tmp_path):
    words = ["--task", "anime", *([str(tmp_path / "out")] if entry in ("infer.py", "gan_tf") else [])]
    words = ["infer", *words] if entry == "gan_tf" else words
    command = [sys.executable, "-c", INTERRUPTED, entry, module, *words]
    variables = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}  # set by conftest.py
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "stopped\n")
    assert not (tmp_path / "out").exists()


def fail_as_numpy_does(argv) -> int:
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        raise ImportError("datetime could not be imported") from None
    return 0


def test_run_command_interrupt_that_became_an_import_error_stops(capsys):
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert run_command(fail_as_numpy_does, []) == 130
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, handler)
    assert capsys.readouterr().err == "stopped\n"


def test_run_command_import_error_without_an_interrupt_is_a_bug():
    def fail(argv):
        raise ImportError("no module")

    with pytest.raises(ImportError, match="no module"):
        run_command(fail, [])
