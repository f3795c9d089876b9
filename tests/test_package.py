"""The package as others install it: a wheel in a fresh environment, used in another folder."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def run(*command, cwd: Path) -> str:
    done = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_wheel_in_a_fresh_environment_samples(tmp_path):
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, ROOT, cwd=tmp_path)
    (wheel,) = tmp_path.glob("gan_tf-*.whl")
    run(sys.executable, "-m", "venv", tmp_path / "env", cwd=tmp_path)
    run(tmp_path / "env/bin/python", "-m", "pip", "install", "-q", wheel, cwd=tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    code = "import gan_tf; print(gan_tf.load('anime').generate(2, seed=1).shape)"
    assert run(tmp_path / "env/bin/python", "-c", code, cwd=elsewhere).strip() == "(2, 64, 64, 3)"
    run(tmp_path / "env/bin/gan-tf", "infer", "--task", "anime", "--grid", "2x2", "faces.png", cwd=elsewhere)
    assert (elsewhere / "faces.png").stat().st_size > 1000
    assert "anime" in run(tmp_path / "env/bin/gan-tf", "train", "--help", cwd=elsewhere)
