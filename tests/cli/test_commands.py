"""The commands as their users meet them: help, wrong usage, bad input, too little memory."""

import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf
from helpers.cli import call

from gan_tf.cli.main import main, run_command

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("command", ["train", "infer", "evaluate", "report"])
@pytest.mark.parametrize("words", [["--help"], ["--version"], ["--task", "anim"], ["--nonsense"]])
def test_command_help_or_wrong_usage_loads_no_tensorflow(command, words):
    code = (
        f"import sys; from gan_tf.cli import main\ntry: sys.exit(main.{command}({words!r}))\n"
        "finally: print('loaded', sorted({'tensorflow', 'tensorflow_datasets', 'keras', 'numpy'} & set(sys.modules)), "
        "file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == (0 if words[0] in ("--help", "--version") else 2)
    assert "loaded []" in done.stderr


def test_command_in_a_removed_folder_says_so(tmp_path):
    (tmp_path / "gone").mkdir()
    command = f"cd {tmp_path}/gone && rmdir {tmp_path}/gone && exec {sys.executable} {ROOT}/infer.py --task anime out"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "The current folder has been removed" in done.stderr


ANIME = ["--task", "anime"]
BAD_INPUT = [
    ("train", [], "No task was given"),
    ("train", ["--task", "anme"], "did you mean 'anime'"),
    ("train", [*ANIME, "--loss", "wgan-gp"], "did you mean 'wgangp'"),
    ("train", [*ANIME, "--los", "gan"], "did you mean --loss"),
    ("train", [*ANIME, "--steps", "0"], "from 1 to"),
    ("train", [*ANIME, "--steps", "many"], "--steps"),
    ("train", [*ANIME, "--minutes", "0"], "above 0"),
    ("train", [*ANIME, "--minutes", "nan"], "above 0"),
    ("train", [*ANIME, "--minutes", "inf"], "above 0"),
    ("train", [*ANIME, "--g-lr", "-1"], "above 0"),
    ("train", [*ANIME, "--g-lr", "nan"], "above 0"),
    ("train", [*ANIME, "--loss", "wgangp", "--norm", "batch"], "batch norm mixes them"),
    ("train", [*ANIME, "--data", "{tmp}/nowhere"], "nowhere"),
    ("train", [*ANIME, "--data", "{tmp}/empty"], "empty"),
    ("train", [*ANIME, "--data", "{tmp}/words"], "words"),
    ("train", [*ANIME, "--data", "{tmp}/words/a.txt"], "a.txt"),
    ("train", ["--task", "cifar10", "--data", "tfds@{tmp}/empty"], "cifar10 of tensorflow-datasets has not been prepared"),
    ("train", [*ANIME, "--data", "tfds:"], "is not tfds[:NAME][@DIR]"),
    ("train", [*ANIME, "--resume", "{tmp}/empty"], "config.json"),
    ("train", [*ANIME, "--resume", ""], "--resume is empty. Check whether a variable of the shell is not set"),
    ("train", [*ANIME, "--data="], "--data is empty"),
    ("infer", [*ANIME, "--count", "2", ""], "An argument is empty"),
    ("infer", [*ANIME, "--weights", "", "{tmp}/out"], "--weights is empty"),
    ("evaluate", ["--images", "{run}", "--reference", ""], "--reference is empty"),
    ("train", [*ANIME, "--resume", "{run}", "--init-from", "{run}"], "exclude each other"),
    ("train", [*ANIME, "--init-from", "{tmp}/empty"], "config.json"),
    ("train", [*ANIME, "--config", "{tmp}/words/a.txt"], "a JSON file"),
    ("train", [*ANIME, "--config", "{tmp}/nowhere.json"], "(No such file or directory)"),
    ("train", ["--task", "digits", "--config", "{run}/config.json"], "a run of task anime"),
    ("train", [*ANIME, "--runs", "{tmp}/words/a.txt"], "a.txt"),
    ("infer", ["{tmp}/out"], "No task was given"),
    ("infer", ANIME, "OUT"),
    ("infer", [*ANIME, "--weights", "{tmp}/empty", "{tmp}/out"], "empty"),
    ("infer", [*ANIME, "--weights", "{tmp}/nowhere", "{tmp}/out"], "nowhere"),
    ("infer", [*ANIME, "--weights", "rpgann", "{tmp}/out"], "hinge, wgangp"),
    ("infer", [*ANIME, "--weights", "hing", "{tmp}/out"], "did you mean 'hinge'"),
    ("infer", [*ANIME, "--weights", "newest", "--runs", "{tmp}/empty", "{tmp}/out"], "no run"),
    ("infer", [*ANIME, "--weights", "{run}", "--grid", "5", "{tmp}/x.png"], "5x5"),
    ("infer", [*ANIME, "--weights", "{run}", "--grid", 5000 * "9" + "x5", "{tmp}/x.png"], "5x5"),
    ("infer", [*ANIME, "--weights", "{run}", "--grid", "5x5", "{tmp}/out"], ".png"),
    ("infer", [*ANIME, "--weights", "{run}", "--count", "0", "{tmp}/out"], "from 1 to"),
    ("infer", [*ANIME, "--weights", "{run}", "--pairs", "3", "{tmp}/out"], "--pairs applies to --interpolate only"),
    ("infer", [*ANIME, "--weights", "{run}", "--grid", "2x2", "--path", "lerp", "{tmp}/x.png"], "--path applies to"),
    ("infer", [*ANIME, "--weights", "{run}", "--interpolate", "1", "{tmp}/x.png"], "from 2 to 200"),
    ("infer", [*ANIME, "--weights", "{run}", "--interpolate", "3", "--path", "slurp", "{tmp}/x.png"], "did you mean 'slerp'"),
    ("infer", [*ANIME, "--weights", "{run}", "--count", "2", "{tmp}/words/a.txt"], "a.txt"),
    ("infer", [*ANIME, "--weights", "{run}", "--seed", str(2**63), "{tmp}/out"], "from 0 to"),
    ("infer", [*ANIME, "--weights", "{run}", "--seeds", "7", "{tmp}/out"], "--seeds 7 is not valid"),
    ("infer", [*ANIME, "--weights", "{run}", "--seeds", "7-3", "{tmp}/out"], "the first and the last"),
    ("infer", [*ANIME, "--weights", "{run}", "--seeds=-1-3", "{tmp}/out"], "--seeds -1-3 is not valid"),
    ("infer", [*ANIME, "--weights", "{run}", "--seeds", f"0-{2**63}", "{tmp}/out"], "is not valid"),
    ("infer", [*ANIME, "--weights", "{run}", "--seeds", f"0-{2**63 - 1}", "{tmp}/out"], "more than 10,000,000 seeds"),
    ("infer", [*ANIME, "--weights", "{run}", "--seeds", "0-3", "--seed", "0", "{tmp}/out"], "--seeds and --seed exclude"),
    ("infer", [*ANIME, "--weights", "{run}", "--seeds", "0-3", "--count", "4", "{tmp}/out"], "--seeds and --count exclude"),
    ("infer", [*ANIME, "--weights", "{run}", "--seeds", "0-3", "--interpolate", "3", "{tmp}/x.png"], "--interpolate exclude"),
    ("infer", [*ANIME, "--weights", "{run}", "--seeds", "3-7", "--grid", "2x2", "{tmp}/x.png"], "Use --seeds 3-6"),
    ("infer", [*ANIME, "--weights", "{run}", "--seeds", "0-3", "{tmp}/x.png"], "OUT"),
    ("evaluate", [], "No task was given"),
    ("evaluate", [*ANIME, "--weights", "{run}", "--images", "{tmp}/empty"], "exclude each other"),
    ("evaluate", [*ANIME, "--data", "{tmp}/nowhere"], "There is nothing at"),
    ("evaluate", ["--classifier", "letters", "--images", "{tmp}/empty"], "digits"),
    ("evaluate", ["--task", "face", "--weights", "{run}", "--data", "tfds:"], "is not tfds[:NAME][@DIR]"),
    ("main", ["trian"], "no command 'trian'"),
]


@pytest.mark.parametrize(("command", "words", "message"), BAD_INPUT, ids=str)
def test_command_bad_input_prints_one_line_and_exits_with_2(command, words, message, run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "words").mkdir()
    (tmp_path / "words/a.txt").write_text("no image")
    assert call(command, *[word.format(tmp=tmp_path, run=run) for word in words]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len([line for line in lines if line.startswith("error: ")]) == 1
    assert message.lower() in lines[-1].lower()
    assert lines[-1].endswith(".")
    left = sorted(path.name for path in tmp_path.rglob("*") if path.name not in ("runs", "anime", ".numbering", "lock"))
    assert left == ["a.txt", "empty", "words"]


def test_main_hands_over_to_each_command(capsys):
    assert main(["train", "--task", "anime", "--steps", "0"]) == 2
    assert "--steps 0" in capsys.readouterr().err
    assert main(["--version"]) == 0
    assert main(["--help"]) == 0
    assert "train,infer,evaluate,report,fetch-weights" in capsys.readouterr().out
    assert main([]) == 2


@pytest.mark.parametrize("error", [MemoryError(), tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")])
def test_command_out_of_memory_ends_in_one_sentence(error, capsys):
    def fail(argv):
        raise error

    assert run_command(fail, []) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: There is not enough memory")


def test_command_out_of_real_memory_ends_in_one_sentence(capsys):
    """TensorFlow's own allocator refuses 4 TB, on whatever machine."""
    assert run_command(lambda argv: int(tf.reduce_sum(tf.zeros([10**6, 10**6]))), []) == 2
    assert "not enough memory" in capsys.readouterr().err
