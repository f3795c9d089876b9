"""Two processes on one run: the second is refused, and the first ends as if it had been alone."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.command_server import CommandServer, command_server
from helpers.runs import assert_same_run, assert_whole_files, newest_run


@pytest.fixture(scope="module")
def second_server(tmp_path_factory) -> Iterator[CommandServer]:
    with command_server(tmp_path_factory.mktemp("second"), stand_in=True) as commands:
        yield commands


def wait_for_checkpoint(runs: Path) -> None:
    deadline = time.monotonic() + 300
    while not list(runs.glob("*/*/checkpoints/step-?????????")):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.drill("two processes")
def test_train_of_a_run_that_trains_is_refused_and_does_not_disturb_it(server, second_server, training, trial, tmp_path):
    with trial():
        process = server.start("train", training.words(tmp_path))
        wait_for_checkpoint(tmp_path)
        os.kill(process, signal.SIGSTOP)  # so that it still trains when the second has started
        try:
            second = second_server.run("train", training.words(tmp_path, "--resume"))
        finally:
            os.kill(process, signal.SIGCONT)
        first = server.finish()
        assert second.status == 2
        (line,) = second.err.splitlines()
        run = newest_run(tmp_path)
        assert line.startswith(f"error: The run {run} is locked by another process, which is training it. ")
        assert first.status == 0, first.err
        assert_whole_files(tmp_path)
        assert_same_run(training.run, run)
