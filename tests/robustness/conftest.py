"""What the tests of failures share: a process that runs commands, undisturbed trainings, and the table of what held."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.command_server import CommandServer, command_server
from helpers.drills import DRILLS, KINDS, PAGE, Drill, Tally, read_cells, render_page
from helpers.runs import newest_run
from helpers.write_faults import Fault, is_supported

from gan_tf.utils.files import write_atomic

TALLY = pytest.StashKey[Tally]()


@dataclass(frozen=True)
class Training:
    """A training of a family that nothing has disturbed.

    Attributes:
        family: its name.
        drill: its task and options.
        data: its images.
        folder: holds ``runs`` and ``cache``.
        run: the run.
        writes: what it wrote below ``folder``, in order.
    """

    family: str
    drill: Drill
    data: Path
    folder: Path
    run: Path
    writes: list[str]

    def words(self, runs: Path, *more) -> list:
        """Returns the arguments of the same training with other runs."""
        return self.drill.words(self.data, runs, *more)


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[CommandServer]:
    """Runs commands in forks of one process, with a small stand-in for the FID network."""
    with command_server(tmp_path_factory.mktemp("server"), stand_in=True) as commands:
        yield commands


@pytest.fixture(scope="session")
def trainings(server, tmp_path_factory) -> Callable[[str], Training]:
    """Trains a family once; returns what nothing has disturbed."""

    @functools.cache
    def train(family: str) -> Training:
        drill, folder = DRILLS[family], tmp_path_factory.mktemp(family)
        data = drill.write_data(tmp_path_factory.mktemp(f"{family}-images"))
        fault = Fault(str(folder), 0, "kill") if is_supported() else None
        done = server.run("train", drill.words(data, folder / "runs"), fault, folder / "cache")
        assert done.status == 0, done.err
        return Training(family, drill, data, folder, newest_run(folder / "runs"), done.writes)

    return train


@pytest.fixture(params=DRILLS)
def training(request, trainings) -> Training:
    """An undisturbed training of each family in turn."""
    return trainings(request.param)


@pytest.fixture
def trial(request, training) -> Callable[..., contextlib.AbstractContextManager[None]]:
    """Counts trials of the kind that the test's ``@pytest.mark.drill`` names, for the table; see ``Tally.trial``."""
    (kind,) = request.node.get_closest_marker("drill").args
    assert kind in KINDS
    tally = request.config.stash.setdefault(TALLY, Tally())
    return functools.partial(tally.trial, kind, training.family)


def pytest_sessionfinish(session):
    if session.config.getoption("--write-robustness"):
        cells = read_cells(PAGE) | session.config.stash.setdefault(TALLY, Tally()).cells()
        write_atomic(PAGE, render_page(cells).encode())
