"""What is read of the available memory: Linux's own file, and the limit of a container."""

import pytest

from gan_tf.utils import memory
from gan_tf.utils.memory import available_memory


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A machine with 3,000 kB available, in no container."""
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemFree: 1000 kB\nMemAvailable:    3000 kB\n")
    (tmp_path / "cgroup").mkdir()
    monkeypatch.setattr(memory, "_MEMORY", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_CONTAINER", tmp_path / "cgroup")
    return tmp_path


def limit_container(folder, limit: str) -> None:
    values = {"memory.max": limit, "memory.current": "900000", "memory.stat": "anon 500000\ninactive_file 300000"}
    for name, value in values.items():
        (folder / "cgroup" / name).write_text(value + "\n")


def test_available_memory_is_what_linux_calls_available(system):
    assert available_memory() == 3000 * 1024


def test_available_memory_in_a_container_is_what_its_limit_leaves(system):
    limit_container(system, "1000000")
    assert available_memory() == 1_000_000 - 900_000 + 300_000


def test_available_memory_in_a_container_without_limit_is_that_of_the_machine(system):
    limit_container(system, "max")
    assert available_memory() == 3000 * 1024


def test_available_memory_of_an_unknown_system_is_a_common_amount(system):
    (system / "meminfo").unlink()
    assert available_memory() == 4 << 30
