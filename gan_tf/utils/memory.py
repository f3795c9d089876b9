"""How much memory this process can still get."""

from pathlib import Path

_UNKNOWN = 4 << 30  # bytes: a common amount, where the system does not tell
_MEMORY = Path("/proc/meminfo")
_CONTAINER = Path("/sys/fs/cgroup")  # of a container, in which it is the root


def available_memory() -> int:
    """Returns the bytes of memory that are free or can be freed, as Linux tells; elsewhere a common amount.

    The limit of a container counts too.
    """
    in_container = _free_in_container()
    return _free_on_machine() if in_container is None else min(_free_on_machine(), in_container)


def _free_on_machine() -> int:
    try:
        lines = _MEMORY.read_text(encoding="utf-8").splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1])
    except (OSError, StopIteration):
        return _UNKNOWN


def _free_in_container() -> int | None:
    """Returns what control groups (version 2) leave; None without a limit."""
    try:
        limit, used = ((_CONTAINER / name).read_text(encoding="utf-8").strip() for name in ("memory.max", "memory.current"))
        cache = dict(line.split() for line in (_CONTAINER / "memory.stat").read_text(encoding="utf-8").splitlines())
    except OSError:
        return None
    if limit == "max":
        return None
    return max(int(limit) - int(used) + int(cache.get("inactive_file", 0)), 0)
