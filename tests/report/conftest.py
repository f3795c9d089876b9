"""Pages of synthetic run folders."""

import pytest
from helpers.run_folders import Page, write_run

from gan_tf.report.page import write_run_page
from gan_tf.tasks import TASKS


@pytest.fixture
def run(tmp_path):
    """The folder of a finished run of the task with the most figures."""
    return write_run(tmp_path / "runs/diffusion/000-unet-images", TASKS["diffusion"])


@pytest.fixture
def read_page():
    """Makes the page of a run and reads it: ``read_page(folder, "diffusion") -> Page``."""

    def read(folder, task="diffusion") -> Page:
        return Page(write_run_page(TASKS[task], folder).read_text())

    return read
