"""The scripts on machines where something is missing: one clear line and exit code 2."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def bare(tmp_path) -> Path:
    """What run_gan.sh needs of the repository, and a PATH of its own in ``bin``."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    for name in ("run_gan.sh", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "bin").mkdir()
    for tool in ("bash", "dirname", "cat", "sha256sum", "cut", "grep", "tail", "touch", "mkdir"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    return tmp_path


def run(bare: Path, *arguments: str, **environment) -> subprocess.CompletedProcess:
    known = {"PATH": str(bare / "bin"), "HOME": str(bare), **environment}
    words = [shutil.which("bash"), str(bare / "run_gan.sh"), *arguments]
    return subprocess.run(words, env=known, capture_output=True, text=True, timeout=300, check=False)


def python_that(bare: Path, fails_on: str) -> None:
    """A ``python3`` that fails where its program has ``fails_on`` in it, and is this Python otherwise."""
    shim = bare / "bin/python3"
    shim.write_text(f'#!{shutil.which("bash")}\ncase "$*" in *"{fails_on}"*) exit 1;; esac\nexec "{base_python()}" "$@"\n')
    shim.chmod(0o755)


def base_python() -> str:
    """The Python that made this environment."""
    return str(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}")


def last_line(done) -> str:
    return done.stderr.strip().splitlines()[-1]


def test_an_argument_is_refused_before_anything_is_made(bare):
    done = run(bare, "--help")
    assert (done.returncode, last_line(done)[:15]) == (2, "error: --help; ")
    assert not (bare / ".venv").exists()


def test_no_python(bare):
    done = run(bare)
    assert done.returncode == 2
    assert last_line(done).startswith("error: no Python from 3.11")


def test_an_old_python(bare):
    python_that(bare, "version_info")
    done = run(bare)
    assert done.returncode == 2
    assert last_line(done).startswith("error: no Python from 3.11")


def test_no_venv_module(bare):
    python_that(bare, "import venv")
    done = run(bare)
    assert done.returncode == 2
    assert "has no venv module" in last_line(done)
    assert "python3-venv" in last_line(done)
    assert not (bare / ".venv").exists()


def test_no_network(bare):
    python_that(bare, "nothing of this kind")
    done = run(bare, PIP_NO_INDEX="1")
    assert done.returncode == 2
    assert last_line(done).startswith("error: pip could not install requirements.txt (ERROR")
    again = run(bare, PIP_NO_INDEX="1")  # a half-made environment is not taken for a whole one
    assert again.returncode == 2


def test_doors_end_quietly_when_their_reader_goes_away():
    words = f"{sys.executable} train.py --help | head -1"
    done = subprocess.run(["bash", "-c", words], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
