"""Processes of experiments: their output is logged, and signals are forwarded to them."""

import pytest

from gan_tf.experiments.processes import run_python

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


def test_run_python_interrupted_forwards_signal_once(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_python(["-c", INTERRUPTS_PARENT], tmp_path / "log")
    assert (tmp_path / "log").read_text() == "a checkpoint\n"
