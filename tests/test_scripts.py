"""The scripts on machines where something is missing: one clear line and exit code 2."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def bare_machine(tmp_path) -> Path:
    """What run_gan.sh needs of the repository, and a PATH of its own in ``bin``."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    for name in ("run_gan.sh", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "bin").mkdir()
    for tool in ("bash", "dirname", "cat", "sha256sum", "cut", "grep", "tail", "touch", "mkdir"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    return tmp_path


def run_gan(machine: Path, *arguments: str, **variables) -> subprocess.CompletedProcess:
    """Runs run_gan.sh with no environment variables but PATH, HOME and ``variables``."""
    environment = {"PATH": str(machine / "bin"), "HOME": str(machine), **variables}
    command = [shutil.which("bash"), str(machine / "run_gan.sh"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def install_python(machine: Path, fails_on: str) -> None:
    """Adds a ``python3`` that fails if its arguments contain ``fails_on``, and is this Python otherwise."""
    shim = machine / "bin/python3"
    shim.write_text(f'#!{shutil.which("bash")}\ncase "$*" in *"{fails_on}"*) exit 1;; esac\nexec "{base_python()}" "$@"\n')
    shim.chmod(0o755)


def base_python() -> str:
    """Returns the Python that created this environment."""
    return str(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}")


def last_line(done) -> str:
    return done.stderr.strip().splitlines()[-1]


def test_run_gan_argument_is_refused_before_anything_is_created(bare_machine):
    done = run_gan(bare_machine, "--help")
    assert done.returncode == 2
    assert last_line(done).startswith("error: run_gan.sh takes no arguments, but --help was given. See ")
    assert not (bare_machine / ".venv").exists()


def test_run_gan_without_python_is_one_line(bare_machine):
    done = run_gan(bare_machine)
    assert done.returncode == 2
    assert last_line(done).startswith("error: No Python from 3.11")
    assert last_line(done).endswith(".")


def test_run_gan_old_python_is_one_line(bare_machine):
    install_python(bare_machine, fails_on="version_info")
    done = run_gan(bare_machine)
    assert done.returncode == 2
    assert last_line(done).startswith("error: No Python from 3.11")


def test_run_gan_without_venv_module_says_what_to_install(bare_machine):
    install_python(bare_machine, fails_on="import venv")
    done = run_gan(bare_machine)
    assert done.returncode == 2
    assert "has no venv module" in last_line(done)
    assert "python3-venv" in last_line(done)
    assert not (bare_machine / ".venv").exists()


def test_run_gan_without_network_fails_each_time(bare_machine):
    install_python(bare_machine, fails_on="nothing")
    done = run_gan(bare_machine, PIP_NO_INDEX="1")
    assert done.returncode == 2
    assert last_line(done).startswith("error: pip could not install requirements.txt (ERROR")
    again = run_gan(bare_machine, PIP_NO_INDEX="1")  # an incomplete environment is not mistaken for a complete one
    assert again.returncode == 2


def test_run_gan_environment_whose_python_has_gone_is_made_again(bare_machine):
    install_python(bare_machine, fails_on="nothing")
    (bare_machine / ".venv/bin").mkdir(parents=True)
    (bare_machine / ".venv/bin/python").symlink_to(bare_machine / "removed")
    digest = hashlib.sha256((bare_machine / "requirements.txt").read_bytes()).hexdigest()
    (bare_machine / f".venv/installed-{digest[:16]}").touch()
    done = run_gan(bare_machine, PIP_NO_INDEX="1")
    assert last_line(done).startswith("error: pip could not install requirements.txt (ERROR")
    assert (bare_machine / ".venv/bin/python").exists()


def test_train_output_pipe_closed_ends_quietly():
    command = f"{sys.executable} train.py --help | head -1"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [[], ["svhn"], ["--help", "out.csv"], ["svhn", "out.csv", "more"]], ids=str)
def test_hw2_3_other_arguments_are_refused_before_anything_is_created(bare_machine, arguments):
    command = [shutil.which("bash"), str(bare_machine / "scripts/hw2_3.sh"), *arguments]
    done = subprocess.run(command, env={"PATH": str(bare_machine / "bin")}, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert last_line(done).startswith("error: hw2_3.sh takes the folder of digits and the CSV file.")
    assert not (bare_machine / ".venv").exists()


@pytest.mark.parametrize(
    "words", [["hw2_1.sh", "out"], ["hw2_2.sh", "out"], ["hw2_3.sh", "svhn", "out.csv"], ["run.sh", "."]], ids=str
)
def test_scripts_with_a_cdpath_of_the_user_run_in_their_own_repository(bare_machine, tmp_path_factory, words):
    """Otherwise the script of one copy of the repository would use the programs and the weights of another."""
    other = tmp_path_factory.mktemp("other")
    (other / "scripts").mkdir()
    environment = {"PATH": str(bare_machine / "bin"), "CDPATH": str(other)}
    command = [shutil.which("bash"), f"scripts/{words[0]}", *words[1:]]
    done = subprocess.run(command, cwd=bare_machine, env=environment, capture_output=True, text=True, check=False)
    assert last_line(done).startswith("error: No Python from 3.11")
    assert (done.returncode, done.stdout) == (2, "")
