"""Processes of experiments: their output is logged, and signals are forwarded to them."""

from pathlib import Path

import pytest

from gan_tf.experiments.processes import run_python
from pipelines.errors import UserError

INTERRUPTS_PARENT = """
import os, signal, sys, time
def stop(*_):
    print("a checkpoint")
    sys.exit(130)
signal.signal(signal.SIGINT, stop)
os.kill(os.getppid(), signal.SIGINT)
time.sleep(20)
"""


def test_run_python_appends_output_to_log_and_returns_exit_code(tmp_path, capfd):
    code = "import sys; print('out'); print('err', file=sys.stderr, flush=True); sys.exit(3)"
    assert run_python(["-c", code], tmp_path / "deep/log") == 3
    assert run_python(["-c", "print('again')"], tmp_path / "deep/log") == 0
    assert (tmp_path / "deep/log").read_text() == "out\nerr\nagain\n"
    assert capfd.readouterr().out == "out\nerr\nagain\n"


def test_run_python_whose_log_is_on_a_full_disk_ends_the_process(tmp_path):
    code = f"import time; print('out', flush=True); time.sleep(20); open({str(tmp_path / 'went on')!r}, 'w')"
    with pytest.raises(UserError, match="/dev/full cannot be written"):
        run_python(["-c", code], Path("/dev/full"))
    assert not (tmp_path / "went on").exists()


def test_run_python_keeps_what_is_no_utf8_and_makes_the_process_a_session_of_its_own(tmp_path, capfd):
    """Ctrl-C in a terminal reaches all processes of a session; the child must get it once, from its parent."""
    code = "import os, sys; print(os.getsid(0) == os.getpid()); sys.stdout.buffer.write(bytes([228, 10]))"
    assert run_python(["-c", code], tmp_path / "log") == 0
    assert (tmp_path / "log").read_text(encoding="utf-8") == "True\n\\xe4\n"


def test_run_python_interrupted_forwards_signal_once(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_python(["-c", INTERRUPTS_PARENT], tmp_path / "log")
    assert (tmp_path / "log").read_text() == "a checkpoint\n"
