"""What every task must do: a real step, finite numbers, a checkpoint, resume, inference, and the same weights by ``fit``."""

import json

import keras
import numpy as np
import pytest
from helpers.cli import TINY, call, only_run
from helpers.gaussian_family import GAUSSIANS
from helpers.run_folders import Page
from PIL import Image

import gan_tf
from gan_tf import tasks
from gan_tf.options import flag_name, from_values
from gan_tf.run_dir import read_run_config
from gan_tf.tasks import DIGITS, TASKS, Task
from gan_tf.training.curves import render_curves
from gan_tf.training.data import open_sources
from gan_tf.workflow import build_workflow

IMAGE_TASKS = sorted(TASKS)
# Besides the tiny networks of all tasks, small crops where a family takes crops.
TINY_OPTIONS = [*TINY, "--num-blocks", "1", "--load-size", "36", "--crop-size", "32"]


def write_images(task: Task, folder) -> None:
    """Writes six training images: as a folder, as two domains, or (and two for validation) with tables of labels."""
    if task.family.name == "cyclegan":
        for domain in "AB":
            write_noise(folder / f"train{domain}", (40, 48, 3))
        return
    if task.family.name == "dann":
        for domain in ("mnistm", "svhn"):
            write_images(DIGITS, folder / domain)
        return
    labeled = task.family.name == "classifier"
    image_dir = folder / ("data" if labeled else "faces")
    write_noise(image_dir, task.image_shape, count=8 if labeled else 6)
    for part, indices in {"train": range(6), "val": range(6, 8)}.items() if labeled else ():
        (folder / f"{part}.csv").write_text("image_name,label\n" + "".join(f"{i}.png,{i}\n" for i in indices))


def write_noise(folder, shape: tuple[int, ...], count: int = 6) -> None:
    """Writes 0.png, 1.png … of random pixels."""
    folder.mkdir(parents=True)
    for i in range(count):
        pixels = np.random.default_rng(i).integers(0, 256, shape, np.uint8)
        Image.fromarray(pixels.squeeze()).save(folder / f"{i}.png")


def tiny_options(task: Task) -> list:
    """Returns those of the options for tiny networks that the task's family has."""
    known = {flag_name(name) for name in task.family.config.__dataclass_fields__}
    return [
        word
        for name, value in zip(TINY_OPTIONS[::2], TINY_OPTIONS[1::2], strict=True)
        if name in known
        for word in (name, value)
    ]


@pytest.fixture(scope="module", params=IMAGE_TASKS)
def trained(request, tmp_path_factory):
    """A run of two steps on a handful of images of the task's size."""
    task, folder = TASKS[request.param], tmp_path_factory.mktemp(request.param)
    write_images(task, folder / "input")
    words = ["--task", task.name, "--runs", folder / "runs", *tiny_options(task)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAN_TF_CACHE", str(folder / "cache"))  # without weights of scoring networks, which take minutes
        assert call("train", *words, "--data", folder / "input", "--steps", 2, "--log-every", 1) == 0
    return task, folder, only_run(folder / "runs", task.name)


@pytest.fixture
def no_detector(tmp_path, monkeypatch):
    """A cache of its own, without the detector of faces: the run of ``trained`` is scored by it where there is one."""
    monkeypatch.setenv("GAN_TF_CACHE", str(tmp_path / "cache"))


def build_config(task: Task, run):
    """Returns the configuration of a run."""
    return from_values(task.family.config, read_run_config(run)["config"], "config.json")


def logged_steps(run) -> list[int]:
    """Returns the steps in a run's log, each once: a callback may log a second line at a step."""
    return list(dict.fromkeys(json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()))


def test_train_logs_finite_numbers(trained):
    _, _, run = trained
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert logged_steps(run) == [1, 2]
    assert all(np.isfinite(value) for line in lines for value in line.values())
    assert len(lines[0]) > 2


def test_train_draws_the_curves(trained):
    _, _, run = trained
    assert (run / "curves.png").read_bytes() == render_curves(run / "metrics.jsonl")


def test_train_writes_the_page_of_the_run(trained):
    """The page shows what the run has left: its grid, its curves and its networks; and what it has not, in words."""
    task, _, run = trained
    shown, figures = Page((run / "report.html").read_text()), task.family.figures(build_config(task, run))
    assert shown.errors == []
    assert "finished after 2 steps" in shown.text
    assert [image["data-step"] for image in shown.find("img") if "data-step" in image] == ["2"]
    for figure in (figures.grid, *figures.beside, *figures.others):
        assert (figure.missing in shown.text) == (not list(run.glob(figure.file)))
    assert len(shown.find("img")) == 1 + sum((run / figure.file).exists() for figure in (*figures.beside, *figures.others))
    networks = json.loads((run / "networks.json").read_text())
    assert networks.keys() == build_workflow(task, build_config(task, run)).build_model().networks().keys()
    assert all(f"{network['parameters']:,} parameters" in shown.text for network in networks.values())


def test_train_describes_the_run(trained):
    task, folder, run = trained
    config, card = read_run_config(run), json.loads((run / "card.json").read_text())
    assert config["config"].keys() == config["sources"].keys()
    assert config["sources"]["batch"] == "cli"
    names = {"cyclegan": {"a", "b"}, "dann": {"source", "target"}}.get(task.family.name, {"real"})
    assert {name: source["count"] for name, source in config["data"]["sources"].items()} == dict.fromkeys(names, 6)
    assert card["images_seen"] == card["step"] * config["config"]["batch"] == 8
    assert str(folder) not in (run / "card.json").read_text()  # a card is shipped: no path of this machine
    assert (run / "images/step-000000002.png").is_file()


def test_train_resume_continues(trained, no_detector, capsys):
    task, folder, run = trained
    words = ["--task", task.name, "--runs", folder / "runs", "--resume", "--steps", 3, "--log-every", 1]
    assert call("train", *words) == 0
    assert "restored step 2" in capsys.readouterr().out
    assert logged_steps(run) == [1, 2, 3]


def test_infer_uses_the_run(trained, tmp_path, capsys):
    task, folder, run = trained
    if task.family.name in ("classifier", "dann"):
        images = folder / ("input/data" if task.family.name == "classifier" else "input/svhn/data")
        assert call("infer", "--task", task.name, "--weights", run, images, tmp_path / "out.csv") == 0
        header, *rows = (tmp_path / "out.csv").read_text().splitlines()
        assert header == "image_name,label"
        assert [row.split(",")[0] for row in rows] == [f"{i}.png" for i in range(8)]
        return
    if task.family.name == "cyclegan":
        assert call("infer", "--task", task.name, "--weights", run, folder / "input/trainA", tmp_path / "out") == 0
        sizes = {file.name: Image.open(file).size for file in sorted((tmp_path / "out").iterdir())}
        assert sizes == {f"{i}.png": (48, 40) for i in range(6)}
        return
    assert call("infer", "--task", task.name, "--weights", run, "--count", 3, tmp_path / "out") == 0
    assert capsys.readouterr().out.startswith(f"weights: {run}")
    files = sorted((tmp_path / "out").iterdir())
    assert [file.name for file in files] == ["0000.png", "0001.png", "0002.png"]
    images = [np.asarray(Image.open(file)) for file in files]
    assert {image.shape for image in images} == {tuple(n for n in task.image_shape if n > 1)}
    assert not np.array_equal(images[0], images[1])


def test_load_gives_the_verb_of_the_family(trained):
    task, _, run = trained
    model = gan_tf.load(task.name, run)
    if task.family.name in ("classifier", "dann"):
        labels = model.predict(np.zeros((3, *task.image_shape), np.uint8))
        assert labels.shape == (3,)
        return
    if task.family.name == "cyclegan":
        image = np.random.default_rng(0).integers(0, 256, (17, 30, 3), np.uint8)
        translations = [model.translate(image, direction) for direction in ("AtoB", "BtoA")]
        assert [(image.dtype, image.shape) for image in translations] == 2 * [(np.uint8, (17, 30, 3))]
        assert not np.array_equal(*translations)
        return
    images = model.generate(3, seed=1)
    assert (images.dtype, images.shape) == (np.uint8, (3, *task.image_shape))
    assert np.array_equal(images[:2], model.generate(2, seed=1))


def test_fit_gives_the_weights_of_the_command(trained):
    """``model.fit`` in a notebook trains exactly as ``train.py`` does, resumed or not."""
    task, folder, run = trained
    steps = json.loads((run / "card.json").read_text())["step"]
    config = build_config(task, run)
    workflow = build_workflow(task, config)
    model = workflow.build_model()
    stream = workflow.build_stream(model, open_sources(task, config, folder / "input", 1 << 30))
    model.fit(stream.dataset(0, steps), verbose=0)
    for name, network in model.exported(stream).items():
        expected = gan_tf.export.read_weights(run).networks[name]
        for (_, array), weight in zip(expected, network.weights, strict=True):
            np.testing.assert_array_equal(array, weight.numpy().astype(np.float16).astype(np.float32))


def test_new_family_through_the_commands_needs_one_registry_entry(tmp_path, monkeypatch, capsys):
    """The 25-Gaussians GAN is a family of its own: registered here, trained, resumed and used by the real commands."""
    monkeypatch.setitem(tasks.TASKS, GAUSSIANS.name, GAUSSIANS)
    words = ["--task", "gaussians", "--runs", tmp_path / "runs", "--log-every", 5, "--checkpoint-every", 10]
    assert call("train", *words, "--steps", 20, "--hidden-dim", 16) == 0
    whole = only_run(tmp_path / "runs", "gaussians")
    assert whole.name == "000-w16-gaussians25"
    assert call("train", *words[:2], "--runs", tmp_path / "parts", *words[4:], "--steps", 10, "--hidden-dim", 16) == 0
    assert call("train", *words[:2], "--runs", tmp_path / "parts", *words[4:], "--steps", 20, "--resume") == 0
    resumed = only_run(tmp_path / "parts", "gaussians")
    assert (whole / "weights.npz").read_bytes() == (resumed / "weights.npz").read_bytes()
    assert (whole / "metrics.jsonl").read_text() == (resumed / "metrics.jsonl").read_text()
    assert json.loads((whole / "scores.json").read_text())["modes"]["protocol"]["points"] == 1000
    assert (
        call("infer", "--task", "gaussians", "--weights", "newest", "--runs", tmp_path / "runs", tmp_path / "points.csv") == 0
    )
    points = np.loadtxt(tmp_path / "points.csv", delimiter=",")
    assert points.shape == (100, 2)
    assert np.isfinite(points).all()
    assert gan_tf.load("gaussians", whole).sample(7).shape == (7, 2)
    assert isinstance(build_workflow(GAUSSIANS, GAUSSIANS.family.config()).build_model(), keras.Model)
