"""The scripts that the handouts' graders run, on a copy of the program with small networks."""

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.cli import TINY, call, only_run
from helpers.exports import export_untrained
from PIL import Image

from gan_tf.training import conclusion
from gan_tf.utils.images import write_png

ROOT = Path(__file__).resolve().parents[1]
BOX = "<bndbox><xmin>4</xmin><ymin>6</ymin><xmax>30</xmax><ymax>36</ymax></bndbox>"
ANNOTATION = f"<annotation><size><width>40</width><height>40</height></size><object>{BOX}</object></annotation>"


@pytest.fixture
def program(tmp_path) -> Path:
    """A copy of the program without weights. Its Python trains small networks for one step, and notes each command."""
    copy = tmp_path / "program"
    for name in ("gan_tf", "pipelines", "scripts"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("weights", "__pycache__"))
    for name in ("train.py", "infer.py", "requirements.txt"):
        shutil.copy(ROOT / name, copy / name)
    python = copy / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    digest = hashlib.sha256((copy / "requirements.txt").read_bytes()).hexdigest()[:16]
    (copy / f".venv/installed-{digest}").touch()
    small = shlex.join([*TINY, "--network", "mlp", "--steps", "1"])
    python.write_text(
        f'#!/bin/bash\nprintf "%s\\n" "$*" >>{shlex.quote(str(copy / "commands"))}\nmore=()\n'
        f'[ "$1" != train.py ] || more=({small})\n[[ "$*" != *"--task dog --count"* ]] || more=(--count 3)\n'
        f'exec {shlex.quote(sys.executable)} "$@" "${{more[@]}}"\n'
    )
    python.chmod(0o755)
    return copy


@pytest.fixture
def dogs(tmp_path) -> Path:
    """``boxed/`` with images/ and annotations/; ``plain/`` with the same images/, and their annotations in ``elsewhere/``."""
    for folder in ("boxed/images", "boxed/annotations", "plain/images", "elsewhere"):
        (tmp_path / folder).mkdir(parents=True)
    for number in range(5):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 40, 3), np.uint8)
        for folder in ("boxed", "plain"):
            Image.fromarray(pixels).save(tmp_path / folder / f"images/{number}.png")
        for folder in ("boxed/annotations", "elsewhere"):
            (tmp_path / folder / f"{number}.xml").write_text(ANNOTATION)
    return tmp_path


def run_script(program: Path, name: str, *words, cwd: Path) -> subprocess.CompletedProcess:
    environment = {**os.environ, "GAN_TF_CACHE": str(program / "cache")}
    command = [str(program / "scripts" / name), *map(str, words)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False)


def commands(program: Path) -> list[str]:
    return (program / "commands").read_text().splitlines()


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("hw2_1.sh", [], "takes the folder for the images"),
        ("hw2_1.sh", ["out", "more"], "nothing else"),
        ("hw2_1.sh", ["--help"], "bash scripts/hw2_1.sh OUT_DIR"),
        ("hw2_2.sh", [], "takes the folder for the images"),
        ("hw2_2.sh", ["--help"], "bash scripts/hw2_2.sh OUT_DIR"),
        ("run.sh", [], "takes one or two folders, but 0 were given"),
        ("run.sh", ["nowhere"], "There is no folder"),
        ("run.sh", [".", "nowhere"], "There is no folder"),
        ("run.sh", [".", ".", "."], "but 3 were given"),
        ("run.sh", [".", "--scratch"], "'--scratch' was given"),
    ],
)
def test_script_wrong_usage_is_one_line_before_anything_is_created(tmp_path, name, words, message):
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    done = subprocess.run([tmp_path / "scripts" / name, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["scripts"]


def test_hw2_1_writes_1000_faces_and_nothing_else_from_any_folder(program, tmp_path):
    done = run_script(program, "hw2_1.sh", "my faces", cwd=tmp_path)
    assert done.returncode == 2
    assert "error: No weights are shipped for task face" in done.stderr
    export_untrained(program / "gan_tf/weights/face/improved", "face", network="improved")
    write_png(tmp_path / "my faces/seed0001.png", np.zeros((4, 4, 3), np.uint8))  # images of this program are replaced
    done = run_script(program, "hw2_1.sh", "my faces", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in (tmp_path / "my faces").iterdir())
    assert names == [f"{number:04d}.png" for number in range(1000)]
    assert commands(program)[-1] == f"infer.py --task face --count 1000 --overwrite {tmp_path / 'my faces'}"


def test_run_trains_where_no_weights_are_shipped_then_writes_into_result(program, dogs):
    done = run_script(program, "run.sh", "boxed", cwd=dogs)
    assert done.returncode == 0, done.stderr
    assert len(list((program / "result/images_inference").iterdir())) == 3
    data = f"--data {dogs / 'boxed'}"
    infer = "infer.py --task dog --count 10000 --overwrite --weights newest result/images_inference"
    assert commands(program) == [f"train.py --task dog {data} --resume", infer]
    again = run_script(program, "run.sh", "plain", "elsewhere", "--from-scratch", cwd=dogs)  # other folders, another run
    assert again.returncode == 0, again.stderr
    assert commands(program)[2:] == [f"train.py --task dog --data {dogs / 'plain'} --annotations {dogs / 'elsewhere'}", infer]
    runs = sorted((program / "runs/dog").glob("0*"))
    first, second = (json.loads((run / "config.json").read_text())["data"] for run in runs)
    assert second["sources"]["real"]["digest"] == first["sources"]["real"]["digest"]
    assert second["annotations"] == str(dogs / "elsewhere")


def test_run_with_shipped_weights_trains_nothing(program, dogs):
    export_untrained(program / "gan_tf/weights/dog/gan", "dog")
    done = run_script(program, "run.sh", dogs / "boxed", cwd=dogs)
    assert done.returncode == 0, done.stderr
    assert commands(program) == ["infer.py --task dog --count 10000 --overwrite result/images_inference"]


def test_command_annotations_are_those_of_the_run_on_resume_and_in_scores(dogs, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GAN_TF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(conclusion, "_score", lambda request, run: None)
    words = ["--task", "dog", "--runs", tmp_path / "runs", *TINY, "--network", "mlp"]
    data = ["--data", dogs / "plain", "--annotations", dogs / "elsewhere"]
    assert call("train", *words, *data, "--steps", 1) == 0
    assert "5 images with boxes" in capsys.readouterr().out
    assert call("train", *words, "--steps", 2, "--resume") == 0
    assert "5 images with boxes" in capsys.readouterr().out
    run = only_run(tmp_path / "runs", "dog")
    assert json.loads((run / "card.json").read_text())["command"].count("--annotations DIR") == 1
    assert call("evaluate", "--task", "dog", "--weights", run, "--count", 3) == 2  # the FID network's weights are missing
    assert "5 images with boxes" in capsys.readouterr().out
    assert call("train", *words, "--data", dogs / "plain", "--annotations", dogs / "nowhere", "--steps", 1) == 2
    assert "nowhere is not a folder" in capsys.readouterr().err
    assert call("train", "--task", "anime", "--annotations", dogs / "elsewhere") == 2
    assert "no argument --annotations" in capsys.readouterr().err
