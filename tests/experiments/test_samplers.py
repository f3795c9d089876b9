"""The page of samplers: its rows for a tiny model, and what is refused."""

import numpy as np
import pytest
from helpers.cli import call, only_run
from PIL import Image

from gan_tf.cli.main import run_command
from gan_tf.diffusion.generator import Sampling
from gan_tf.experiments import samplers
from gan_tf.tasks import DIFFUSION
from gan_tf.utils.images import tile_images
from gan_tf.workflow import load_workflow
from pipelines.formats.mnistm import MnistmData
from pipelines.synthetic.digits import SyntheticDigits


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A tiny model, trained for one step on synthetic digits."""
    runs = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAN_TF_CACHE", str(runs / "cache"))
        tiny = ["--hidden-dim", 2, "--blocks", 1, "--batch", 4, "--timesteps", 10, "--steps", 1, "--grid-every", 0]
        assert call("train", "--task", "diffusion", "--runs", runs, *tiny) == 0
    return only_run(runs, "diffusion")


def test_table_has_a_row_for_each_choice_and_one_for_real_images(run, tmp_path, monkeypatch):
    digits = SyntheticDigits(count=100)
    monkeypatch.setattr(MnistmData, "open", lambda self, path, split, memory_budget: {"real": digits})
    table = tmp_path / "table.md"
    words = ["--weights", str(run), "--data", str(tmp_path), "--out", str(table), "--count", "20", "--steps", "2,3"]
    assert run_command(samplers.run, [*words, "--samplers", "ddim,ancestral", "--guidance", "1"]) == 0
    lines = [line for line in table.read_text().splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert [row[:3] for row in rows[2:6]] == [[name, steps, "1"] for name in ("ddim", "ancestral") for steps in ("2", "3")]
    assert rows[6][0] == "training images"
    assert float(rows[6][3]) > float(rows[2][3])  # real digits are recognized more often than those of a model of one step
    assert 0 < float(rows[6][4]) < float(rows[2][4])  # 0 would be that of the same sample
    figure = np.asarray(Image.open(tmp_path / "table-digits.png"))
    assert figure.shape[0] == 4 * 28  # a strip for each row of generated images: no image of a data set is shown
    generator = load_workflow(DIFFUSION, run).load(run)
    generated = generator.generate(10, 0, sampling=Sampling("ancestral", 3, 1.0))
    np.testing.assert_array_equal(figure[3 * 28 :, -10 * 28 :], tile_images(generated, 1, 10))
    command = "samplers --weights DIR --data DIR --count 20 --steps 2,3 --samplers ddim,ancestral --guidance 1\n"
    assert command in table.read_text()


def test_images_without_labels_are_refused_before_any_row(run, image_dir, tmp_path, capsys):
    paths = ["--weights", str(run), "--data", str(image_dir), "--out", str(tmp_path / "table.md")]
    assert run_command(samplers.run, paths) == 2
    assert "have no labels" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--samplers", "heun"], "no sampler 'heun'"),
        (["--steps", "ten"], "must be lists of numbers"),
        (["--guidance", "101"], "from 0 to 100"),
        (["--steps", "2,11"], "11 sampling steps are more than the 10"),
        (["--count", "31"], "60 training images, but two samples of --count 31 are compared. Use --count 30"),
        (["--out", "table.txt"], "--out table.txt must be a .md file"),
        (["--out", "/dev/null/table.md"], "/dev/null cannot be written"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(words, message, run, tmp_path, monkeypatch, capsys):
    digits = SyntheticDigits(count=60)
    monkeypatch.setattr(MnistmData, "open", lambda self, path, split, memory_budget: {"real": digits})
    paths = ["--weights", str(run), "--data", str(tmp_path), "--out", str(tmp_path / "table.md"), "--count", "20"]
    assert run_command(samplers.run, [*paths, *words]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "table.md").exists()
