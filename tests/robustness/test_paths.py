"""Paths, users, locales and file systems that are not the usual ones."""

import dataclasses
import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.cli import call
from helpers.cyclegans import build_cyclegan
from helpers.exports import CARD
from helpers.runs import newest_run, write_gray_images
from PIL import Image

from gan_tf.export import write_export
from gan_tf.run_dir import RunDir, create_run_dir, read_run_config
from gan_tf.shipped import SHIPPED
from gan_tf.utils.cache import cache_folder
from gan_tf.utils.files import read_json, write_json

ROOT = Path(__file__).resolve().parents[2]
TINY = ["--network", "mlp", "--hidden-dim", 4, "--batch", 4, "--latent-dim", 8, "--checkpoint-every", 1, "--grid-every", 1]
NAMES = [
    "run[1]*?{a,b}",
    "with space and 'quotes\"",
    "ü猫",
    "-dash",
    os.fsdecode(b"no-utf-8-\xff\xfe"),
    "new\nline",
    "%s{}$HOME~",
]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_TF_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_commands_with_any_name_of_folders_train_resume_and_generate(tmp_path, name, capfd):
    folder = tmp_path / name
    folder.mkdir()
    (folder / "data").mkdir()
    data, runs = write_gray_images(folder / "data"), folder / "runs"
    os.rename(os.fsencode(data / "train/0.png"), os.fsencode(data / "train") + b"/\xff[0]*.png")
    words = ["--task", "mnist", "--data", data, "--runs", runs, *TINY]
    assert call("train", *words, "--steps", 2) == 0, capfd.readouterr().err
    run = newest_run(runs)
    assert read_run_config(run)["data"]["path"] == str(data.resolve())
    assert call("train", "--task", "mnist", "--runs", runs, "--resume", "--steps", 3) == 0, capfd.readouterr().err
    assert (run / "checkpoints/step-000000003").is_dir()
    assert call("infer", "--task", "mnist", "--weights", run, "--count", 2, folder / "out") == 0
    assert len(list((folder / "out").iterdir())) == 2
    assert "Traceback" not in capfd.readouterr().err


def write_cyclegan(folder: Path) -> Path:
    """Writes the weights of a tiny CycleGAN; returns the folder."""
    model = build_cyclegan(num_blocks=0)
    about = {"task": "yosemite", "config": dataclasses.asdict(model.config), "image_shape": [32, 32, 3]}
    write_export(folder, model.exported(), {}, about, CARD | {"task": "yosemite"})
    return folder


@pytest.mark.parametrize(
    ("task", "variant", "words"),
    [
        ("yosemite", None, ["{in}", "{out}"]),
        ("diffusion", "unet", ["--labels", "3", "--per-digit", 1, "--sample-steps", 1, "{out}"]),
        ("dann", "svhn", ["--target", "svhn", "{in}", "{out}/a.csv"]),
        ("digits", "classifier", ["{in}", "{out}/a.csv"]),
    ],
)
def test_infer_of_every_family_with_all_names_at_once_works(tmp_path, capfd, task, variant, words):
    folder = tmp_path.joinpath(*NAMES)
    (folder / "in").mkdir(parents=True)
    weights = folder / "weights"
    if variant is None:
        write_cyclegan(weights)
    else:
        shutil.copytree(SHIPPED / task / variant, weights)
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(folder / "in/x.png")
    os.rename(folder / "in/x.png", os.fsencode(folder / "in") + b"/\xff[0]*\n.png")
    words = [str(word).format(**{"in": folder / "in", "out": folder / "out"}) for word in words]
    assert call("infer", "--task", task, "--weights", weights, *words) == 0, capfd.readouterr().err
    (file,) = (folder / "out").iterdir()
    assert file.suffix == ".png" or b"\xff[0]*\n.png" in file.read_bytes()


@pytest.mark.parametrize(
    "locale", [{"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, {"PYTHONIOENCODING": "ascii"}]
)
def test_infer_in_a_locale_without_utf_8_writes_the_names_of_all_files(tmp_path, locale):
    """As with ``LANG=C`` in a container."""
    names = ["ü猫.png", "a.png", os.fsdecode(b"\xff.png")]
    (tmp_path / "usps").mkdir()
    for name in names:
        Image.fromarray(np.zeros((28, 28), np.uint8)).save(tmp_path / "usps/x.png")
        os.rename(tmp_path / "usps/x.png", tmp_path / "usps" / name)
    command = [sys.executable, "infer.py", "--task", "dann", tmp_path / "usps", tmp_path / "ü.csv"]
    environment = {**os.environ, **locale}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    rows = (tmp_path / "ü.csv").read_bytes().splitlines()[1:]
    assert {row.rpartition(b",")[0] for row in rows} == {os.fsencode(name) for name in names}


def test_json_of_paths_that_are_no_utf_8_is_read_as_it_was_written(tmp_path):
    value = {"path": os.fsdecode(b"/a/\xff\xfe"), "ü": "猫 \\ud800"}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == value


@pytest.mark.parametrize("content", [b"[" * 200_000, b"\xff\xfe\x00", b"", b"{", b'{"a": ' * 100_000, b"[1e400, NaN"])
def test_read_json_of_anything_else_is_a_value_error(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError):  # noqa: PT011 (of several kinds, with messages of their own)
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize("content", [{"task": [], "explicit": {}}, {"task": "anime", "explicit": 5}, {"task": 5}, []])
def test_train_with_a_config_file_of_another_type_is_one_sentence(tmp_path, content, capsys):
    write_json(tmp_path / "config.json", content)
    assert call("train", "--task", "dann", "--config", tmp_path / "config.json", "--runs", tmp_path / "runs") == 2
    assert capsys.readouterr().err.startswith("error: --config ")


def test_source_code_names_the_encoding_of_every_text_file():
    """Otherwise the locale decides; found by Python's own warning, in the modules that commands use."""
    lines = []
    for path in [*ROOT.glob("gan_tf/**/*.py"), *ROOT.glob("pipelines/**/*.py")]:
        if "experiments" not in path.parts:
            lines += [f"{path}: {line}" for line in path.read_text(encoding="utf-8").splitlines() if "read_text()" in line]
    assert lines == []


@pytest.mark.parametrize("error", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_lock_on_a_file_system_without_locks_warns_and_goes_on(tmp_path, monkeypatch, error):
    def flock(file, operation):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.warns(UserWarning, match="its file system has no locks"):
        run_dir = create_run_dir(tmp_path, "mnist", "a")
    with pytest.warns(UserWarning, match="train this run in one process only"):
        run_dir.lock()
    run_dir.unlock()
    assert isinstance(run_dir, RunDir)


def test_lock_with_another_error_is_not_hidden(tmp_path, monkeypatch):
    def flock(file, operation):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match="Input/output error"):
        create_run_dir(tmp_path, "mnist", "a")


def test_cache_folder_of_a_user_without_home_is_one_of_temporary_files(monkeypatch):
    def home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("GAN_TF_CACHE")
    monkeypatch.setattr(Path, "home", home)
    assert cache_folder().name == f"gan_tf-{os.getuid()}"


# Root without its right to open everything; other users have none.
UNPRIVILEGED = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
CAN_BE_REFUSED = pytest.mark.skipif(bool(UNPRIVILEGED) and not shutil.which("setpriv"), reason="needs setpriv, as root")


def run_unprivileged(words, environment=None) -> subprocess.CompletedProcess:
    command = [*UNPRIVILEGED, sys.executable, *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)


@CAN_BE_REFUSED
@pytest.mark.parametrize("home", ["closed", "nowhere"])
def test_train_by_a_user_whose_home_cannot_be_used_ends_with_0(tmp_path, home):
    (tmp_path / "closed").mkdir(mode=0)
    data = write_gray_images(tmp_path)
    words = ["train.py", "--task", "mnist", "--data", data, "--runs", tmp_path / "runs", *TINY, "--steps", 1]
    environment = {name: value for name, value in os.environ.items() if name not in ("GAN_TF_CACHE", "HOME")}
    environment["HOME"] = str(tmp_path / home)
    done = run_unprivileged(words, environment)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "not scored: " in done.stdout


@CAN_BE_REFUSED
@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("train", ["--data", "{closed}/data", "--runs", "{tmp}/runs"]),
        ("train", ["--data", "{tmp}", "--runs", "{closed}/runs"]),
        ("train", ["--resume", "{closed}/run"]),
        ("train", ["--config", "{closed}/config.json"]),
        ("train", ["--init-from", "{closed}/run"]),
        ("infer", ["--weights", "{closed}/run", "{tmp}/out"]),
        ("infer", ["{closed}/out"]),
        ("infer", ["--grid", "2x2", "{closed}/x.png"]),
        ("evaluate", ["--images", "{closed}/images", "--reference", "{tmp}"]),
        ("evaluate", ["--data", "{closed}/data"]),
        ("evaluate", ["--json", "{closed}/x.json", "--data", "{tmp}"]),
        ("infer", ["--task", "yosemite", "--weights", "{closed}", "{closed}/in", "{tmp}/out"]),
        ("infer", ["--task", "dann", "{closed}/in", "{tmp}/out.csv"]),
        ("infer", ["--task", "digits", "{tmp}", "{closed}/out.csv"]),
        ("train", ["--task", "dann", "--source-data", "{closed}/a", "--target-data", "{tmp}"]),
    ],
    ids=str,
)
def test_command_below_a_folder_without_permission_is_one_sentence(tmp_path, command, words):
    (tmp_path / "closed").mkdir(mode=0)
    words = [word.format(closed=tmp_path / "closed", tmp=tmp_path) for word in words]
    done = run_unprivileged([f"{command}.py", "--task", "anime", *words])
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "closed" in done.stderr.splitlines()[-1]
