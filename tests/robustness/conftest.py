"""What the tests of failing writes share: a process that runs commands, and images to train on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.command_server import CommandServer, command_server
from helpers.runs import write_gray_images


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[CommandServer]:
    """Runs commands in forks of one process, with a small stand-in for the FID network."""
    with command_server(tmp_path_factory.mktemp("server"), stand_in=True) as commands:
        yield commands


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A folder of gray images with validation images."""
    return write_gray_images(tmp_path_factory.mktemp("images"))
