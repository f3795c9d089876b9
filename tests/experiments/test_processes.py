"""Processes of experiments: what they say is kept, and a signal ends them in their own way."""

import pytest

from gan_tf.experiments.processes import watched

ENDS_WELL = """
import os, signal, sys, time
def end(*_):
    print("a checkpoint")
    sys.exit(130)
signal.signal(signal.SIGINT, end)
os.kill(os.getppid(), signal.SIGINT)
time.sleep(20)
"""


def test_code_and_words_come_back_and_are_kept(tmp_path, capfd):
    code = "import sys; print('out'); print('err', file=sys.stderr, flush=True); sys.exit(3)"
    assert watched(["-c", code], tmp_path / "deep/log") == (3, "out\nerr\n")
    assert watched(["-c", "print('again')"], tmp_path / "deep/log") == (0, "again\n")
    assert (tmp_path / "deep/log").read_text() == "out\nerr\nagain\n"
    assert capfd.readouterr().out == "out\nerr\nagain\n"


def test_an_interrupt_is_handed_on_once(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        watched(["-c", ENDS_WELL], tmp_path / "log")
    assert (tmp_path / "log").read_text() == "a checkpoint\n"
